//! The prompts that callers are spoken to with: found and prepared beside what the server does, then given to its calls.

use std::path::{Path, PathBuf};

use segue_b2bua::{PromptSet, Prompts, Row};
use segue_call::prompts::{Picture, Prompt};
use segue_jobs::{
    WorkerPool,
    prompts::{Prepared, PromptsError, Sources, Wanted, prepare},
};
use segue_policy::Language;

use crate::{config::Config, failure::Failure};

/// Where an installed Segue has them.
const INSTALLED: &str = "/usr/share/segue/prompts";
/// Where `make samples` puts them.
const MADE_HERE: &str = "media/out/prompts";
/// Where prepared ones are kept, in the data directory.
const PREPARED: &str = "prompts";
/// What to do where there are none.
pub const FIX: &str = "make them with media/make-prompts.sh, or name their folder in prompts.dir (docs/prompts.md)";

/// The folder that has a folder for each language.
pub fn dir(config: &Config) -> PathBuf {
    let here = || Path::new(MADE_HERE).is_dir().then(|| PathBuf::from(MADE_HERE));
    let own = config.prompts_dir.clone();
    own.or_else(here).unwrap_or_else(|| PathBuf::from(INSTALLED))
}

/// Whether everything that can be said in a language is there.
///
/// # Errors
/// [`PromptsError`] names what is not.
pub fn find(config: &Config, language: Language) -> Result<Sources, PromptsError> {
    let wanted = Wanted {
        sounds: Prompt::all().map(Prompt::id).collect(),
        pictures: Picture::ALL.iter().map(|picture| picture.id().to_owned()).collect(),
    };
    Sources::find(&dir(config).join(language.name()), &wanted)
}

/// Prepares those of every language, one after the other, and gives them to calls as they are ready. Nobody waits for it.
///
/// # Errors
/// When the thread cannot start.
pub fn prepare_all(config: &Config, pool: &WorkerPool) -> Result<Prompts, Failure> {
    let prompts = Prompts::default();
    let (config, pool, given) = (config.clone(), pool.clone(), prompts.clone());
    let prepare = move || {
        for language in Language::ALL.iter().copied() {
            match one(&config, &pool, language) {
                Ok((set, kept)) => {
                    given.set(language, set);
                    tracing::info!(%language, kept, "prompts are ready");
                }
                Err(why) => tracing::error!(
                    %language,
                    why,
                    fix = FIX,
                    "no prompts: callers of a mailbox get the beep in place of a menu"
                ),
            }
        }
    };
    let started = std::thread::Builder::new().name("prompts".to_owned()).spawn(prepare);
    started.map_err(|error| {
        Failure::refused(
            "system",
            format!("the thread that prepares prompts cannot start: {error}"),
            "see the limits of this system",
        )
    })?;
    Ok(prompts)
}

fn one(config: &Config, pool: &WorkerPool, language: Language) -> Result<(PromptSet, bool), String> {
    let kept = config.prompts_prepared.clone();
    let kept = kept.unwrap_or_else(|| config.data_dir.join(PREPARED));
    let sources = find(config, language).map_err(|error| error.to_string())?;
    let prepared = prepare(pool, language.name(), &sources, &kept, &mut |_| {});
    let Prepared {
        rows,
        sounds,
        pictures,
        kept,
    } = prepared.map_err(|error| error.to_string())?;
    let rows: Vec<Row> = rows.into_iter().map(|(info, cache)| Row { info, cache }).collect();
    let sounds: Vec<_> = Prompt::all().zip(sounds).collect();
    let pictures: Vec<_> = Picture::ALL.iter().copied().zip(pictures).collect();
    let set = PromptSet::new(language, &rows, &sounds, &pictures).map_err(|error| error.to_string())?;
    Ok((set, kept))
}
