//! The prompts that callers are spoken to with, in memory: one set a language, shared by all calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use segue_call::prompts::{Picture, Prompt};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile};
use segue_media::{
    cache::{Cache, CacheError},
    worker::Span,
};
use segue_policy::Language;

/// One rendition of all sounds, or of all pictures, of a language in a row.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is.
    pub info: RenditionInfo,
    /// Its packets.
    pub cache: Cache,
}

/// The prompts of one language, cut out of their rows.
#[derive(Debug)]
pub struct PromptSet {
    info: ClipInfo,
    sounds: BTreeMap<(Prompt, RenditionProfile), Cache>,
    pictures: BTreeMap<(Picture, RenditionProfile), Cache>,
}

impl PromptSet {
    /// Cuts the rows up: where each prompt and each picture stands, the spans say.
    ///
    /// # Errors
    /// [`CacheError`] when nothing is where one should be.
    pub fn new(
        language: Language,
        rows: &[Row],
        sounds: &[(Prompt, Span)],
        pictures: &[(Picture, Span)],
    ) -> Result<PromptSet, CacheError> {
        let cut = |cache: &Cache, span: Span| {
            let us = |ms: u32| ms.saturating_mul(1_000);
            cache.part(us(span.start_ms), us(span.length_ms))
        };
        let mut set = PromptSet {
            info: ClipInfo {
                // No row of the store: those count from 1.
                id: 0,
                name: format!("prompts-{language}"),
                duration_ms: 0,
                renditions: rows.iter().map(|row| row.info.clone()).collect(),
            },
            sounds: BTreeMap::new(),
            pictures: BTreeMap::new(),
        };
        for Row { info, cache } in rows {
            let profile = info.profile;
            if profile.is_video() {
                for (picture, span) in pictures {
                    set.pictures.insert((*picture, profile), cut(cache, *span)?);
                }
            } else {
                for (prompt, span) in sounds {
                    set.sounds.insert((*prompt, profile), cut(cache, *span)?);
                }
            }
        }
        Ok(set)
    }

    pub(crate) fn sound(&self, prompt: Prompt, profile: RenditionProfile) -> Option<Cache> {
        self.sounds.get(&(prompt, profile)).cloned()
    }

    pub(crate) fn picture(&self, picture: Picture, profile: RenditionProfile) -> Option<Cache> {
        self.pictures.get(&(picture, profile)).cloned()
    }
}

/// The sets that are ready. Cheap to clone: all clones see what any of them is given.
#[derive(Debug, Clone, Default)]
pub struct Prompts(Arc<Mutex<BTreeMap<Language, Arc<PromptSet>>>>);

impl Prompts {
    /// From now on calls are spoken to with these; those that are there go on with what they are hearing.
    pub fn set(&self, language: Language, set: PromptSet) {
        self.lock().insert(language, Arc::new(set));
    }

    /// Those of a language.
    pub(crate) fn of(&self, language: Language) -> Option<Arc<PromptSet>> {
        self.lock().get(&language).cloned()
    }

    /// What a call is told of them.
    pub(crate) fn info(&self, language: Language) -> Option<ClipInfo> {
        self.lock().get(&language).map(|set| set.info.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Language, Arc<PromptSet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use segue_call::prompts::Word;
    use segue_media::{Command, cache::CacheBuilder};

    use super::*;
    use crate::packet_path::say_command;

    /// Packets of 20 ms that say their number.
    fn row(profile: RenditionProfile) -> Row {
        let mut builder = CacheBuilder::new();
        for n in 0..10_u32 {
            builder.push(n * 20_000, n * 160, &[n as u8], 0).unwrap();
        }
        let info = RenditionInfo {
            profile,
            bytes: 10,
            profile_level_id: None,
        };
        let cache = builder.finish(8_000, 200_000, 1_600).unwrap();
        Row { info, cache }
    }

    fn at(start_ms: u32, length_ms: u32) -> Span {
        Span { start_ms, length_ms }
    }

    fn set() -> Result<PromptSet, CacheError> {
        let rows = [row(RenditionProfile::Pcmu), row(RenditionProfile::Vp8W640)];
        let sounds = [(Word::Sent.into(), at(0, 40)), (Prompt::Number(7), at(40, 60))];
        PromptSet::new(Language::En, &rows, &sounds, &[(Picture::Choose, at(80, 20))])
    }

    const PCMU: (Option<RenditionProfile>, Option<RenditionProfile>) = (Some(RenditionProfile::Pcmu), None);

    #[test]
    fn a_sentence_is_cut_out_of_what_is_prepared() {
        let set = set().unwrap();
        let said = [Word::Sent.into(), Prompt::Number(7)];
        let formats = (Some(RenditionProfile::Pcmu), Some(RenditionProfile::Vp8W640));
        let command = say_command(3, Some(&set), (&said, Some(Picture::Choose)), formats).unwrap();
        let Command::Say { source, audio, video } = command else {
            panic!("{command:?}")
        };
        assert_eq!(source, 19);
        let first = |cache: &Cache| (cache.payload_of(&cache.entries[0])[0], cache.loop_us);
        assert_eq!(audio.iter().map(first).collect::<Vec<_>>(), [(0, 40_000), (2, 60_000)]);
        assert_eq!(first(&video.unwrap()), (4, 20_000));
    }

    #[test]
    fn what_is_missing_is_named() {
        let set = set().unwrap();
        let why = |prompts: &[Prompt], picture| say_command(1, Some(&set), (prompts, picture), PCMU).unwrap_err();
        assert_eq!(why(&[Prompt::Number(8)], None), "there is no prompt n8");
        assert_eq!(
            say_command(1, None, (&[Prompt::Number(7)], None), PCMU).unwrap_err(),
            "there are no prompts"
        );
        let out = PromptSet::new(
            Language::De,
            &[row(RenditionProfile::Pcmu)],
            &[(Prompt::Number(1), at(200, 20))],
            &[],
        );
        assert!(out.is_err(), "nothing is there");
    }
}
