//! The prompts of a language: sounds and pictures of a folder, prepared once by a worker and kept as long as nothing of them changes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::{Context, SHA256};
use segue_mailbox::{RenditionInfo, RenditionProfile};
use segue_media::cache::Cache;
use segue_media::worker::{Job, Outcome, Rendition, Span};
use serde::{Deserialize, Serialize};

use crate::pool::{WorkerError, WorkerPool};

/// Longest time a worker takes for a language.
const LIMIT: Duration = Duration::from_secs(900);
/// Raised when prompts are prepared in another way than before: what is kept is made anew then.
const FORM: &str = "1";
/// What pictures say, an id a line: `id = line/line`.
const PICTURES: &str = "pictures.txt";
/// In the folder of what is prepared, written last.
const INDEX: &str = "index.json";
/// The largest sound that is read, bytes.
const SOUND_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What a sound may be called after its id.
const FORMS: [&str; 5] = ["wav", "flac", "ogg", "opus", "mp3"];

/// Why a language has no prompts.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// Its folder lacks some.
    #[error("{} lacks {}", dir.display(), few(missing))]
    Missing {
        /// Which folder.
        dir: PathBuf,
        /// Ids, those of pictures as `pictures.txt: id`.
        missing: Vec<String>,
    },
    /// The worker could not make them.
    #[error("{0}")]
    Worker(#[from] WorkerError),
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        error: io::Error,
    },
}

/// The ids of what a language must have.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Sounds: a file each.
    pub sounds: Vec<String>,
    /// Pictures: a line each.
    pub pictures: Vec<String>,
}

/// What is prepared of a language.
#[derive(Debug)]
pub struct Prepared {
    /// All sounds, and all pictures, in a row, in each rendition.
    pub rows: Vec<(RenditionInfo, Cache)>,
    /// Where each sound stands, in the order of [`Wanted`].
    pub sounds: Vec<Span>,
    /// Where each picture stands.
    pub pictures: Vec<Span>,
    /// They were at hand already.
    pub kept: bool,
}

/// What is found in a language's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    dir: PathBuf,
    /// File names.
    sounds: Vec<String>,
    /// Lines.
    pictures: Vec<Vec<String>>,
}

impl Sources {
    /// Looks whether everything is there.
    ///
    /// # Errors
    /// [`PromptsError::Missing`] names all that is not; [`PromptsError::Io`].
    pub fn find(dir: &Path, wanted: &Wanted) -> Result<Sources, PromptsError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| PromptsError::Io { path, error }
        };
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(io(dir))? {
            let name = entry.map_err(io(dir))?.file_name();
            if let Some((id, form)) = name.to_str().and_then(|name| name.rsplit_once('.'))
                && FORMS.contains(&form)
            {
                files.insert(id.to_owned(), format!("{id}.{form}"));
            }
        }
        let path = dir.join(PICTURES);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(io(&path))?,
        };
        let mut texts = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            if let Some((id, said)) = line.split_once('=') {
                let lines: Vec<String> = said.trim().split('/').map(str::to_owned).collect();
                texts.insert(id.trim().to_owned(), lines);
            }
        }
        let sounds = wanted.sounds.iter().filter_map(|id| files.remove(id));
        let sounds: Vec<String> = sounds.collect();
        let found = |id: &&String| !sounds.iter().any(|file| stem(file) == id.as_str());
        let mut missing: Vec<String> = wanted.sounds.iter().filter(found).cloned().collect();
        let untold = wanted.pictures.iter().filter(|id| !texts.contains_key(*id));
        missing.extend(untold.map(|id| format!("{PICTURES}: {id}")));
        if !missing.is_empty() {
            return Err(PromptsError::Missing {
                dir: dir.to_owned(),
                missing,
            });
        }
        let pictures = wanted.pictures.iter().filter_map(|id| texts.remove(id)).collect();
        Ok(Sources {
            dir: dir.to_owned(),
            sounds,
            pictures,
        })
    }

    /// Names what is made of them: another name for other sounds, pictures, or ways of preparing.
    ///
    /// # Errors
    /// [`PromptsError::Io`] when a sound cannot be read, or is too large to be one.
    pub fn hash(&self) -> Result<String, PromptsError> {
        let mut hash = Context::new(&SHA256);
        let mut add = |part: &[u8]| {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        };
        add(FORM.as_bytes());
        for profile in RenditionProfile::ALL {
            add(profile.name().as_bytes());
        }
        for name in &self.sounds {
            let path = self.dir.join(name);
            let read = fs::metadata(&path).and_then(|found| match found.len() > SOUND_BYTES_MAX {
                true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large for a prompt")),
                false => fs::read(&path),
            });
            add(name.as_bytes());
            add(&read.map_err(|error| PromptsError::Io { path, error })?);
        }
        for lines in &self.pictures {
            add(lines.join("\n").as_bytes());
        }
        let digest = hash.finish();
        let hex = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}"));
        Ok(hex.collect())
    }
}

/// Where each stands, and what the rows are.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    sounds: Vec<Span>,
    pictures: Vec<Span>,
    renditions: Vec<Rendition>,
}

/// Prepares a language in `kept`/`language`-HASH, or takes what is there already; what other sources had made goes.
///
/// # Errors
/// [`PromptsError`].
pub fn prepare(
    pool: &WorkerPool,
    language: &str,
    sources: &Sources,
    kept: &Path,
    progress: &mut dyn FnMut(u8),
) -> Result<Prepared, PromptsError> {
    let name = format!("{language}-{}", sources.hash()?);
    let place = kept.join(&name);
    if let Ok(prepared) = read(&place, true) {
        return Ok(prepared);
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| PromptsError::Io { path, error }
    };
    fs::create_dir_all(kept).map_err(io(kept))?;
    let folder = tempfile::Builder::new()
        .prefix(".prompts-")
        .tempdir_in(kept)
        .map_err(io(kept))?;
    let job = Job::PreparePrompts {
        dir: sources.dir.to_string_lossy().into_owned(),
        sounds: sources.sounds.clone(),
        pictures: sources.pictures.clone(),
        out_dir: folder.path().to_string_lossy().into_owned(),
    };
    let Outcome::Prompts {
        sounds,
        pictures,
        renditions,
    } = pool.run(&job, LIMIT, progress)?
    else {
        let why = "the media worker answered something else".to_owned();
        return Err(WorkerError::Failed(why).into());
    };
    if (sounds.len(), pictures.len()) != (sources.sounds.len(), sources.pictures.len()) {
        return Err(WorkerError::Failed("the media worker made other prompts than it was asked for".to_owned()).into());
    }
    let index = Index {
        sounds,
        pictures,
        renditions,
    };
    let path = folder.path().join(INDEX);
    let json = serde_json::to_vec(&index).map_err(|error| io(&path)(error.into()))?;
    fs::write(&path, json).map_err(io(&path))?;
    // Whatever is there could not be read; or another process was faster, with the same.
    let _ = fs::remove_dir_all(&place);
    let made = folder.keep();
    if let Err(error) = fs::rename(&made, &place) {
        let _ = fs::remove_dir_all(&made);
        if !place.join(INDEX).is_file() {
            return Err(io(&place)(error));
        }
    }
    forget_others(kept, language, &name);
    read(&place, false)
}

fn read(place: &Path, kept: bool) -> Result<Prepared, PromptsError> {
    let file = |path: &Path| {
        fs::read(path).map_err(|error| PromptsError::Io {
            path: path.to_owned(),
            error,
        })
    };
    let damaged = |path: &Path, why: String| PromptsError::Io {
        path: path.to_owned(),
        error: io::Error::new(io::ErrorKind::InvalidData, why),
    };
    let path = place.join(INDEX);
    let index: Index = serde_json::from_slice(&file(&path)?).map_err(|error| damaged(&path, error.to_string()))?;
    let mut rows = Vec::new();
    for made in index.renditions {
        let path = place.join(&made.file);
        let bytes = file(&path)?;
        let cache = Cache::parse(&bytes).map_err(|error| damaged(&path, error.to_string()))?;
        let profile = RenditionProfile::from_name(&made.profile);
        let profile = profile.ok_or_else(|| damaged(&path, format!("an unknown {}", made.profile)))?;
        let info = RenditionInfo {
            profile,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            profile_level_id: made.profile_level_id,
        };
        rows.push((info, cache));
    }
    Ok(Prepared {
        rows,
        sounds: index.sounds,
        pictures: index.pictures,
        kept,
    })
}

/// Removes what was prepared of this language from other sources.
fn forget_others(kept: &Path, language: &str, name: &str) {
    let Ok(entries) = fs::read_dir(kept) else { return };
    for entry in entries.flatten() {
        let other = entry.file_name();
        let is_other = other.to_str().is_some_and(|other| {
            let hash = other.strip_prefix(language).and_then(|rest| rest.strip_prefix('-'));
            hash.is_some() && other != name
        });
        if is_other && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "prompts that are out of date stay");
        }
    }
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// The first of many.
fn few(ids: &[String]) -> String {
    const FEW: usize = 5;
    let named = ids.get(..FEW).unwrap_or(ids).join(", ");
    match ids.len().checked_sub(FEW) {
        None | Some(0) => named,
        Some(more) => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            sounds: vec!["sent".into(), "n1".into()],
            pictures: vec!["choose".into()],
        }
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sent.wav"), "sent").unwrap();
        fs::write(dir.path().join("n1.ogg"), "one").unwrap();
        fs::write(dir.path().join(PICTURES), "# told\nchoose = 1  Video/2  Voice\n").unwrap();
        dir
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let dir = folder();
        let found = Sources::find(dir.path(), &wanted()).unwrap();
        assert_eq!(found.sounds, ["sent.wav", "n1.ogg"]);
        assert_eq!(found.pictures, [["1  Video", "2  Voice"]]);
        fs::remove_file(dir.path().join("n1.ogg")).unwrap();
        fs::remove_file(dir.path().join(PICTURES)).unwrap();
        let error = Sources::find(dir.path(), &wanted()).unwrap_err().to_string();
        assert!(error.ends_with("lacks n1, pictures.txt: choose"), "{error}");
        let many: Vec<String> = (0..9).map(|n| format!("n{n}")).collect();
        assert_eq!(few(&many), "n0, n1, n2, n3, n4 and 4 more");
        let nowhere = Sources::find(&dir.path().join("xx"), &wanted());
        assert!(matches!(nowhere, Err(PromptsError::Io { .. })));
    }

    #[test]
    fn another_sound_or_picture_is_another_hash() {
        let dir = folder();
        let hash = || Sources::find(dir.path(), &wanted()).unwrap().hash().unwrap();
        let first = hash();
        assert_eq!(hash(), first);
        fs::write(dir.path().join("sent.wav"), "sent, softly").unwrap();
        let second = hash();
        assert_ne!(second, first);
        fs::write(dir.path().join(PICTURES), "choose = 1/2").unwrap();
        assert_ne!(hash(), second);
    }
}
