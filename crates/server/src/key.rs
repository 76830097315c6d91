//! What shows the running server that a command may read its data directory: a secret of this run, in a file there.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rand::{TryRng, rngs::SysRng};

/// In the data directory of a running server.
pub const KEY_FILE: &str = "server.key";

/// Makes the key of this run and writes it down, for the owner of the data directory alone.
pub fn renew(data_dir: &Path) -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (path, partial) = (data_dir.join(KEY_FILE), data_dir.join(format!("{KEY_FILE}.partial")));
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(key.as_bytes())?;
    fs::rename(&partial, &path)?;
    Ok(key)
}

/// The key of the server that runs on a data directory; `None`: there is none, or we may not read it.
pub fn read(data_dir: &Path) -> Option<String> {
    let key = fs::read_to_string(data_dir.join(KEY_FILE)).ok()?;
    // It goes into a line of a header.
    key.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_run_has_a_key_that_its_owner_alone_can_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        let first = renew(dir.path()).unwrap();
        let second = renew(dir.path()).unwrap();
        assert_ne!(first, second);
        assert_eq!((second.len(), read(dir.path())), (64, Some(second)));
        let mode = fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(dir.path().join(KEY_FILE), "a\r\nb").unwrap();
        assert_eq!(read(dir.path()), None);
    }
}
