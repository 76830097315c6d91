//! Subscribers' passwords: kept as what digests need of them (H(A1), RFC 7616 §3.4.2), sealed with a key beside the database.
//!
//! Whoever gets hold of the database alone, or of a copy of it, has no use for them.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use segue_b2bua::{TRUNK_REALM, Unseal, trunk_key};
use segue_policy::{Auth, Profile};
use segue_sip::Hashes;
use segue_store::Store;

use crate::{config::tls, failure::Failure};

/// The key's file in the data directory.
const FILE: &str = "passwords.key";
/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Longest password, bytes.
const PASSWORD_MAX: usize = 128;
/// Twice as long as the server lets pass between two looks.
const LEARNT_AFTER: Duration = Duration::from_millis(500);

/// Seals and opens what passwords are checked by.
pub struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Sealer {
    /// With the key of a data directory, made if there is none.
    pub fn of(data_dir: &Path) -> Result<Sealer, Failure> {
        let path = data_dir.join(FILE);
        let random = SystemRandom::new();
        if !path.exists() {
            make(&path, &random)?;
        }
        let bytes = tls::secret("the key of passwords", &path)?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| {
            Failure::refused(
                "bad_secret",
                format!(
                    "{}: the key of passwords has {} bytes, not {KEY_BYTES}",
                    path.display(),
                    bytes.len()
                ),
                "put back the file of a backup; or move it away and set all passwords again",
            )
        })?;
        Ok(Sealer {
            key: LessSafeKey::new(key),
            random,
        })
    }

    /// What a password is checked by in each realm, sealed.
    pub fn seal(&self, user: &str, realms: &[String], password: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let seal = |realm: &String| {
            let text = Hashes::new(user, realm, password).to_text();
            let failed = || Failure::refused("system", "no random numbers are to be had", "see 'segue doctor'");
            Ok((realm.clone(), self.seal_text(user, realm, text).ok_or_else(failed)?))
        };
        realms.iter().map(seal).collect()
    }

    /// A text of a subscriber's, sealed for a purpose; `None`: the system gives no random numbers.
    pub fn seal_text(&self, user: &str, realm: &str, text: String) -> Option<Vec<u8>> {
        let mut nonce = [0_u8; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut text = text.into_bytes();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), whose(user, realm), &mut text)
            .ok()?;
        Some([&nonce[..], &text].concat())
    }
}

impl Unseal for Sealer {
    fn unseal(&self, user: &str, realm: &str, sealed: &[u8]) -> Option<String> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let open = self.key.open_in_place(nonce, whose(user, realm), &mut text).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }
}

/// One subscriber's cannot be put in another's place. No realm has an end of line.
fn whose(user: &str, realm: &str) -> Aad<String> {
    Aad::from(format!("{user}\n{realm}"))
}

/// Written beside and linked: who asks at the same moment finds a whole key, and the same.
fn make(path: &Path, random: &SystemRandom) -> Result<(), Failure> {
    let mut key = [0_u8; KEY_BYTES];
    let failed = |why: String| {
        Failure::refused(
            "data_dir",
            format!("{} cannot be made: {why}", path.display()),
            "let the data directory be one that this user can write to",
        )
    };
    random
        .fill(&mut key)
        .map_err(|_| failed("no random numbers".to_owned()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(&key)?;
            file.sync_all()
        })
        .and_then(|()| match fs::hard_link(&beside, path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        });
    let _ = fs::remove_file(&beside);
    written.map_err(|e| failed(e.to_string()))
}

/// A trunk's password, sealed as it is given to its servers. Error: why it is none.
pub fn seal_for_trunk(data_dir: &Path, trunk: &str, password: &str) -> Result<Vec<u8>, String> {
    let password = checked("it", password).map_err(|failure| failure.message)?;
    let sealer = Sealer::of(data_dir).map_err(|failure| failure.message)?;
    let sealed = sealer.seal_text(&trunk_key(trunk), TRUNK_REALM, password);
    sealed.ok_or_else(|| "no random numbers are to be had".to_owned())
}

/// The realms in which subscribers prove who they are: of the profiles that take registrations or ask callers for credentials.
pub fn realms<'a>(profiles: impl Iterator<Item = &'a Profile>) -> Vec<String> {
    let asks = |profile: &&Profile| profile.registrar || profile.auth == Auth::Digest;
    let mut realms: Vec<String> = profiles
        .filter(asks)
        .map(|profile| profile.auth_realm.clone())
        .collect();
    realms.sort();
    realms.dedup();
    realms
}

/// Lets a running server learn of a password, which it looks for a few times a second: when the command returns it counts.
pub fn wait_for_server(data_dir: &Path) {
    if Store::server_runs(data_dir) {
        std::thread::sleep(LEARNT_AFTER);
    }
}

/// The password in a file that nobody but its owner may read; `-`: the standard input.
pub fn read(path: &Path) -> Result<String, Failure> {
    secret_line("--password-file", path)
}

/// The one line of such a file; `option` named it.
pub fn secret_line(option: &str, path: &Path) -> Result<String, Failure> {
    let bytes = if path == Path::new("-") {
        let mut text = Vec::new();
        let read = std::io::stdin().lock().take(4_096).read_to_end(&mut text);
        read.map_err(|e| Failure::refused("bad_secret", e.to_string(), "give the password on the standard input"))?;
        text
    } else {
        tls::secret(option, path)?
    };
    checked(
        &path.display().to_string(),
        &String::from_utf8(bytes).unwrap_or_default(),
    )
}

/// A secret of one line; `from`: where it stands.
pub fn checked(from: &str, text: &str) -> Result<String, Failure> {
    // The line end that an editor leaves is no part of it.
    let word = text.trim_end_matches(['\r', '\n']);
    match !word.is_empty() && word.len() <= PASSWORD_MAX && !word.contains(char::is_control) {
        true => Ok(word.to_owned()),
        false => Err(Failure::refused(
            "bad_secret",
            format!("{from}: there is no password in one line of at most {PASSWORD_MAX} bytes"),
            "write the password alone into it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_user_and_realm_and_with_its_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::of(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let realms = ["office".to_owned(), "home".to_owned()];
        let sealed = sealer.seal("bob", &realms, "open sesame").unwrap();
        let hashes = Hashes::new("bob", "office", "open sesame").to_text();
        let (realm, bytes) = &sealed[0];
        assert_eq!(realm, "office");
        let contains = |needle: &str| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
        assert!(!contains("sesame") && !contains(&hashes[..32]));
        // With the same key, after a restart.
        let again = Sealer::of(dir.path()).unwrap();
        assert_eq!(again.unseal("bob", "office", bytes), Some(hashes));
        assert_eq!(again.unseal("eve", "office", bytes), None);
        assert_eq!(again.unseal("bob", "home", bytes), None);
        let mut changed = bytes.clone();
        changed[20] ^= 1;
        assert_eq!(again.unseal("bob", "office", &changed), None);
        assert_eq!(again.unseal("bob", "office", &bytes[..5]), None);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(
            Sealer::of(elsewhere.path()).unwrap().unseal("bob", "office", bytes),
            None
        );
    }

    #[test]
    fn a_key_that_is_cut_or_open_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, "short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = |dir: &Path| Sealer::of(dir).err().unwrap().to_string();
        assert!(refused(dir.path()).contains("has 5 bytes"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused(dir.path()).contains("chmod 600"));
    }

    #[test]
    fn a_password_is_one_line_of_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let from = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read(&path).map_err(|refused| refused.to_string())
        };
        assert_eq!(from("open sesame\n", 0o600).as_deref(), Ok("open sesame"));
        assert!(from("open sesame", 0o644).unwrap_err().contains("chmod 600"));
        for none in ["", "\n", "two\nlines", &"p".repeat(129)] {
            let refused = from(none, 0o600).unwrap_err();
            assert!(
                refused.contains("no password") && !refused.contains("lines\n"),
                "{refused}"
            );
        }
    }
}
