//! `segue message export`: a copy of a message, named by what is in it.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use segue_manage::{Access, Refusal};
use segue_store::{Exported, StoreError};

use crate::failure::Failure;

/// Endings of the files that messages are, by media type.
fn ending(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "video/mp4" | "audio/mp4" => "mp4",
        "video/webm" | "audio/webm" => "webm",
        "audio/ogg" => "ogg",
        _ => "bin",
    }
}

/// The file to write: what it is called must be what is in it.
pub fn named(access: &Access, id: &str, file: PathBuf, force: bool) -> Result<PathBuf, Failure> {
    if fs::metadata(&file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        // A device or pipe (/dev/stdout) is written as it is.
        return Ok(file);
    }
    let media_type = access.message(id)?.media_type;
    let ending = ending(&media_type);
    let file = if file.is_dir() { file.join(id) } else { file };
    let said = file
        .extension()
        .and_then(|said| said.to_str())
        .map(str::to_ascii_lowercase);
    let known = ["mp4", "m4a", "webm", "mkv", "ogg", "opus", "mov", "avi", "wav", "mp3"];
    let file = match said {
        Some(said) if said == ending || (ending == "mp4" && said == "m4a") => file,
        Some(said) if known.contains(&said.as_str()) => {
            return Err(Failure::refused(
                "other_format",
                format!(
                    "{id} is {media_type}, and {} is named as something else",
                    file.display()
                ),
                format!(
                    "name it {}, or leave the ending out",
                    file.with_extension(ending).display()
                ),
            ));
        }
        // `bob.monday` has no ending but a name with a dot.
        _ => {
            let mut name = file.into_os_string();
            name.push(format!(".{ending}"));
            PathBuf::from(name)
        }
    };
    if !force && file.exists() {
        return Err(there(&file));
    }
    Ok(file)
}

fn there(file: &Path) -> Failure {
    Failure::refused(
        "exists",
        format!("{} is there already", file.display()),
        "name another file, or say --force to replace it",
    )
}

/// Writes beside the target and renames, so that a failure leaves no half file in its place.
pub fn export(access: &Access, id: &str, file: &Path, force: bool) -> Result<Exported, Failure> {
    let unwritable = |e: &io::Error| {
        Failure::refused(
            "unwritable",
            format!("{} cannot be written: {e}", file.display()),
            "name a file in a directory you may write to",
        )
    };
    // A device or pipe (/dev/stdout) is written as it is.
    let special = fs::metadata(file).is_ok_and(|m| !m.is_file());
    let beside = match (special, file.file_name()) {
        (false, Some(name)) => {
            let mut name = name.to_owned();
            name.push(format!(".{}.part", std::process::id()));
            file.with_file_name(name)
        }
        _ => file.to_owned(),
    };
    // Whether it is there is asked first: a wrong id makes no file.
    access.message(id)?;
    let mut out = BufWriter::new(fs::File::create(&beside).map_err(|e| unwritable(&e))?);
    let written = access.export_media(id, &mut out).map_err(|e| match e {
        Refusal::Store(StoreError::Io(why)) => unwritable(&io::Error::other(why)),
        other => Failure::from(other),
    });
    let finished = written.and_then(|exported| {
        out.flush().map_err(|e| unwritable(&e))?;
        if !special {
            out.get_ref().sync_all().map_err(|e| unwritable(&e))?;
            put(&beside, file, force).map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => there(file),
                _ => unwritable(&e),
            })?;
        }
        Ok(exported)
    });
    if finished.is_err() && !special {
        let _ = fs::remove_file(&beside);
    }
    finished
}

/// Renames. Without `force` nothing is replaced, whoever was quicker.
fn put(from: &Path, to: &Path, force: bool) -> io::Result<()> {
    use rustix::{
        fs::{CWD, RenameFlags, renameat_with},
        io::Errno,
    };
    if force {
        return fs::rename(from, to);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !to.exists() => fs::rename(from, to),
        done => done.map_err(io::Error::from),
    }
}
