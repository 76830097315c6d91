//! SIP profiles: one TOML a profile, in the order of the files' names.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use segue_policy::{PROFILE_KEYS, Profile};
use toml::de::DeTable;

use super::{
    Config,
    place::{File, Position, nearest},
};
use crate::failure::Failure;

/// The profile used when there is no directory of profiles.
const BUILT_IN: &str = include_str!("../../../../sip-profiles/softphone.toml");

/// Most profiles read.
const FILES_MAX: usize = 64;

/// Largest profile read, bytes.
const BYTES_MAX: u64 = 256 * 1024;

/// A profile, and where its keys stand.
#[derive(Debug, Clone)]
pub struct ProfileFile {
    pub profile: Profile,
    path: PathBuf,
    values: BTreeMap<&'static str, Position>,
}

impl ProfileFile {
    /// Whether it says anything of a key.
    pub fn stands(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Where the value of a key stands: `file:line:column`, or just the file.
    pub fn at(&self, key: &str) -> String {
        let file = self.path.display();
        match self.values.get(key) {
            Some(position) => format!("{file}:{position}"),
            None => file.to_string(),
        }
    }
}

/// All profiles of this configuration, in the order in which they are asked. What they say together is for
/// [`check`](crate::check) to judge.
///
/// Errors name the file, the line where there is one, and the fix.
pub fn load(config: &Config) -> Result<Vec<Profile>, Failure> {
    Ok(load_files(config)?.into_iter().map(|file| file.profile).collect())
}

/// The same with where everything stands.
pub fn load_files(config: &Config) -> Result<Vec<ProfileFile>, Failure> {
    match &config.profiles_dir {
        Some(dir) => files(dir)?.iter().map(|path| read(path)).collect(),
        None => {
            let path = Path::new("built-in softphone.toml");
            Ok(vec![parse(File { path, text: BUILT_IN })?])
        }
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

fn read(path: &Path) -> Result<ProfileFile, Failure> {
    let fail = |why: String| wrong(format!("{}: {why}", path.display()), UNREADABLE);
    let size = fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > BYTES_MAX {
        return Err(fail(format!("{size} bytes are too many for a profile")));
    }
    let text = fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    parse(File { path, text: &text })
}

/// Reads a profile. Every error names file, line and column, and what the key wants.
fn parse(file: File<'_>) -> Result<ProfileFile, Failure> {
    let start = |span: Option<Range<usize>>| span.map_or(0, |span| span.start);
    let table = DeTable::parse(file.text).map_err(|e| {
        wrong(
            format!("{}: {}", file.at(start(e.span())), e.message()),
            "correct that line (TOML)",
        )
    })?;
    let table = table.get_ref();
    if let Some((key, _)) = table.iter().find(|(key, _)| wants(key.get_ref()).is_none()) {
        let names = PROFILE_KEYS.iter().map(|(name, _)| *name);
        let fix = match nearest(key.get_ref(), names) {
            Some(meant) => format!("did you mean {meant}? docs/profiles.md has every key"),
            None => "remove it; docs/profiles.md has every key".to_owned(),
        };
        return Err(wrong(
            format!("{}: unknown key {}", file.at(key.span().start), key.get_ref()),
            fix,
        ));
    }
    let profile: Profile = toml::from_str(file.text).map_err(|e| {
        let at = start(e.span());
        let key = table
            .iter()
            .find(|(key, value)| key.span().start <= at && at <= value.span().end)
            .map(|(key, _)| key.get_ref().as_ref());
        match key.zip(key.and_then(wants)) {
            Some((key, wants)) => wrong(
                format!("{}: {key}: {}", file.at(at), e.message()),
                format!("{key} is {wants}"),
            ),
            None => wrong(format!("{}: {}", file.at(at), e.message()), UNREADABLE),
        }
    })?;
    profile.check().map_err(|e| {
        let stands = |name: &str| table.iter().find(|(key, _)| key.get_ref() == name);
        // A key that was left out stands nowhere: what wants it does.
        let wanting = || {
            e.why
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .find_map(stands)
        };
        let stands = stands(e.key).or_else(wanting);
        let at = file.at(stands.map_or(0, |(_, value)| value.span().start));
        wrong(
            format!("{at}: {e}"),
            format!("{} is {}", e.key, wants(e.key).unwrap_or("wrong")),
        )
    })?;
    let values = PROFILE_KEYS.iter().filter_map(|(name, _)| {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
        Some((*name, file.position(value.span().start)))
    });
    Ok(ProfileFile {
        profile,
        path: file.path.to_owned(),
        values: values.collect(),
    })
}

/// What a key wants; `None`: there is no such key.
fn wants(key: &str) -> Option<&'static str> {
    PROFILE_KEYS
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, wants)| *wants)
}

const UNREADABLE: &str = "correct that profile; docs/profiles.md explains each key";

fn wrong(message: String, fix: impl Into<String>) -> Failure {
    Failure::refused("bad_profile", message, fix)
}
