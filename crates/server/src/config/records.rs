//! `[records]`: the files that call records are written to.

use std::path::{Path, PathBuf};

use segue_jobs::{Form, RecordFile};
use segue_store::Kept;
use serde_json::{Value, json};

/// A CSV file of some 250,000 calls.
const ROTATE_BYTES: u64 = 100_000_000;

/// The keys of `[records]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// Call records as CSV.
    pub csv: Option<PathBuf>,
    /// Call records as JSON lines.
    pub jsonl: Option<PathBuf>,
    /// When a file is set aside.
    pub rotate: Rotate,
    /// How many files set aside stay of each; `None`: all.
    pub keep: Option<u32>,
    /// How many call records the store keeps; `None`: all.
    pub keep_max: Option<u32>,
    /// How long it keeps one, milliseconds; `None`: for ever.
    pub keep_age_ms: Option<u64>,
}

/// When a file is set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotate {
    /// Before it would be longer.
    pub max_bytes: Option<u64>,
    /// With the first record of a day.
    pub daily: bool,
}

impl Default for Records {
    fn default() -> Records {
        Records {
            csv: None,
            jsonl: None,
            rotate: Rotate {
                max_bytes: Some(ROTATE_BYTES),
                daily: false,
            },
            keep: None,
            keep_max: None,
            keep_age_ms: None,
        }
    }
}

impl Rotate {
    /// As it would stand in the file.
    pub fn shown(self) -> Value {
        let size = self.max_bytes.map(|bytes| json!(bytes.to_string()));
        let daily = self.daily.then(|| json!("daily"));
        match (size, daily) {
            (None, None) => json!("none"),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(size), Some(daily)) => json!([size, daily]),
        }
    }
}

impl Records {
    /// What is to be written.
    pub fn files(&self) -> Vec<RecordFile> {
        let file = |form: Form, path: &Option<PathBuf>| {
            path.clone().map(|path| RecordFile {
                form,
                path,
                max_bytes: self.rotate.max_bytes,
                daily: self.rotate.daily,
                keep: self.keep,
            })
        };
        let both = [file(Form::Csv, &self.csv), file(Form::JsonLines, &self.jsonl)];
        both.into_iter().flatten().collect()
    }

    /// What stays in the store.
    pub fn kept(&self) -> Kept {
        Kept {
            max: self.keep_max,
            age_ms: self.keep_age_ms,
            forms: self.files().iter().map(|file| file.form.name()).collect(),
        }
    }

    /// Paths are meant from where the configuration file stands.
    pub fn based(&mut self, base: &Path) {
        for path in [&mut self.csv, &mut self.jsonl].into_iter().flatten() {
            *path = base.join(&*path);
        }
    }
}
