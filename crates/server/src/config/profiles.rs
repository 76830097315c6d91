//! SIP profiles: one TOML a profile, in the order of the files' names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use segue_policy::Profile;

use super::Config;
use crate::failure::Failure;

/// The profile used when there is no directory of profiles.
const BUILT_IN: &str = include_str!("../../../../sip-profiles/softphone.toml");

/// Most profiles read.
const FILES_MAX: usize = 64;

/// All profiles of this configuration.
///
/// Errors name the file, the line where there is one, and the fix.
pub fn load(config: &Config) -> Result<Vec<Profile>, Failure> {
    match &config.profiles_dir {
        Some(dir) => files(dir)?.iter().map(|path| read(path)).collect(),
        None => Ok(vec![parse(Path::new("built-in softphone.toml"), BUILT_IN)?]),
    }
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |why: String| {
        Failure::refused(
            "bad_profile",
            format!("the profiles in {} cannot be read: {why}", dir.display()),
            "set profiles_dir to a directory of *.toml files, or leave it out for the built-in profile",
        )
    };
    let entries = fs::read_dir(dir).map_err(|e| unreadable(e.to_string()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unreadable(e.to_string()))?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(unreadable("no *.toml file is in it".to_owned()));
    }
    if files.len() > FILES_MAX {
        return Err(unreadable(format!("{} files are more than {FILES_MAX}", files.len())));
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Profile, Failure> {
    let text = fs::read_to_string(path).map_err(|e| wrong(path, None, &e.to_string()))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Profile, Failure> {
    let profile: Profile = toml::from_str(text).map_err(|e| {
        let at = e.span().map(|span| {
            text.bytes()
                .take(span.start)
                .filter(|b| *b == b'\n')
                .count()
                .saturating_add(1)
        });
        wrong(path, at, e.message())
    })?;
    profile.check().map_err(|e| wrong(path, None, &e.to_string()))?;
    for listen in &profile.listen {
        listen.parse::<std::net::SocketAddr>().map_err(|_| {
            wrong(
                path,
                None,
                &format!("listen = [{listen:?}]: \"address:port\" is needed, e.g. \"127.0.0.1:5060\""),
            )
        })?;
    }
    Ok(profile)
}

fn wrong(path: &Path, line: Option<usize>, why: &str) -> Failure {
    let line = line.map(|l| format!(":{l}")).unwrap_or_default();
    Failure::refused(
        "bad_profile",
        format!("{}{line}: {why}", path.display()),
        "correct that profile; sip-profiles/softphone.toml explains each key",
    )
}
