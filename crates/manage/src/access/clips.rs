//! Clips and greetings: those that an operator gives to all, and those of each subscriber.

use segue_mailbox::{ClipInfo, RenditionProfile};
use segue_store::{ClipUsed, ClipUsedAs, Deed, MediaFile, NewClip, NewRendition, Store, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Page, PageAsked, Refusal, Scope};

/// Uses of a clip that are listed, of each way of using it.
const USES_MAX: u32 = 100;

/// One form in which a clip is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RenditionView {
    /// Which, e.g. `h264-640-mode1` (docs/codecs.md).
    pub profile: &'static str,
    /// How long, bytes.
    pub bytes: u64,
}

/// Where a clip is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClipUse {
    /// By which subscriber.
    pub user: String,
    /// `clip`: callers see it; `greeting`: it asks for a message; `rule`: a rule of theirs names it.
    pub r#as: &'static str,
    /// The rule's place, from 1.
    pub rule: Option<u32>,
}

/// A clip as programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClipView {
    /// Changes when the clip is replaced.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is; `null`: everybody's.
    pub owner: Option<String>,
    /// Playing time, milliseconds.
    pub duration_ms: u64,
    /// All renditions together, bytes.
    pub bytes: u64,
    /// There is a picture in it.
    pub has_video: bool,
    /// There is a still picture of it.
    pub has_poster: bool,
    /// In which forms it is stored.
    pub renditions: Vec<RenditionView>,
    /// Forms that this version makes besides: `segue clip refresh`.
    pub missing: Vec<&'static str>,
    /// Subscribers whose callers see or hear it, the first 100 of either; a subscriber sees themselves alone.
    pub used_by: Vec<String>,
    /// The same one by one, with rules; 100 at most of each way of using it.
    pub uses: Vec<ClipUse>,
    /// Uses beyond those.
    pub uses_more: u64,
}

fn view(store: &Store, clip: &ClipInfo, own: Option<&str>) -> Result<ClipView, StoreError> {
    let (used, all) = store.clip_uses(&clip.name, own, USES_MAX)?;
    let uses_more = all.saturating_sub(used.len() as u64);
    let by_rule = |one: &ClipUsed| one.how == ClipUsedAs::Rule;
    let mut used: Vec<ClipUsed> = used;
    used.sort_by(|a, b| (by_rule(a), &a.user, a.how, a.place).cmp(&(by_rule(b), &b.user, b.how, b.place)));
    let own_settings = used.iter().filter(|one| !by_rule(one));
    let mut used_by: Vec<String> = own_settings.map(|one| one.user.clone()).collect();
    used_by.dedup();
    let uses = used.into_iter().map(|one| ClipUse {
        rule: by_rule(&one).then_some(one.place),
        r#as: match one.how {
            ClipUsedAs::Clip => "clip",
            ClipUsedAs::Greeting => "greeting",
            ClipUsedAs::Rule => "rule",
        },
        user: one.user,
    });
    let renditions = clip.renditions.iter().map(|one| RenditionView {
        profile: one.profile.name(),
        bytes: one.bytes,
    });
    Ok(ClipView {
        id: clip.id.to_string(),
        name: clip.name.clone(),
        owner: store.clip_owner(&clip.name)?,
        duration_ms: clip.duration_ms,
        bytes: clip.renditions.iter().map(|one| one.bytes).sum(),
        has_video: clip.renditions.iter().any(|one| one.profile.is_video()),
        has_poster: store.clip_media(&clip.name, true)?.is_some(),
        renditions: renditions.collect(),
        missing: clip.missing().into_iter().map(RenditionProfile::name).collect(),
        used_by,
        uses: uses.collect(),
        uses_more,
    })
}

fn for_all(name: &str, act: &str) -> Refusal {
    Refusal::Forbidden {
        why: format!("the clip '{name}' is for all, and not yours to {act}"),
        fix: "ask an operator".to_owned(),
    }
}

impl Access {
    /// Clips by name: all for an operator, for a subscriber their own and those that are everybody's.
    pub fn clips(&self, page: &PageAsked) -> Result<Page<ClipView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let (limit, after) = (page.limit()?, page.after()?.unwrap_or_default());
        let clips = self
            .store()
            .clips_page(self.own_name(), &after, limit.saturating_add(1))?;
        let found = clips.iter().map(|clip| view(self.store(), clip, self.own_name()));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(found, limit, |one| one.name.clone(), |one| one))
    }

    /// One clip.
    pub fn clip(&self, name: &str) -> Result<ClipView, Refusal> {
        let clip = self.seen_clip(name)?;
        Ok(view(self.store(), &clip, self.own_name())?)
    }

    /// Deletes a clip; a subscriber their own. Calls that play it go on.
    ///
    /// # Errors
    /// It is used, by whom is said; it is everybody's, and who asks is no operator.
    pub fn remove_clip(&self, name: &str) -> Result<(), Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.seen_clip(name)?;
        if !self.changes_clip(name)? {
            return Err(for_all(name, "delete"));
        }
        let owner = self.store().clip_owner(name)?;
        Ok(self.acting("clip.remove", name, owner.as_deref()).remove_clip(name)?)
    }

    /// Whether a clip of this name may be put there for all: then it is worth preparing one.
    ///
    /// # Errors
    /// Who asks is no operator; one of that name is a subscriber's own.
    pub fn may_put_clip_for_all(&self, name: &str) -> Result<(), Refusal> {
        self.need(Scope::SettingsWrite)?;
        if self.own_name().is_some() {
            return Err(Refusal::Forbidden {
                why: "clips for all are for operators".to_owned(),
                fix: "upload one of your own".to_owned(),
            });
        }
        Ok(self.store().may_put_clip_for_all(name)?)
    }

    /// Puts a prepared clip there for all; one of that name is replaced.
    ///
    /// # Errors
    /// As [`Access::may_put_clip_for_all`].
    pub fn put_clip_for_all(&self, clip: NewClip) -> Result<ClipInfo, Refusal> {
        self.may_put_clip_for_all(&clip.name)?;
        let acting = self.acting("clip.add", &clip.name, None);
        Ok(acting.put_clip_for_all(clip)?)
    }

    /// Clips that lack what this version makes, by name: all for an operator, else one's own.
    pub fn clips_to_refresh(&self) -> Result<Vec<ClipInfo>, Refusal> {
        self.need(Scope::SettingsWrite)?;
        let mut found = Vec::new();
        for clip in self.store().clips()? {
            if !clip.is_built_in() && !clip.missing().is_empty() && self.changes_clip(&clip.name)? {
                found.push(clip);
            }
        }
        Ok(found)
    }

    /// A clip that they may have brought up to date, and what is put down of that.
    ///
    /// # Errors
    /// It is not there; it is everybody's, and who asks is no operator.
    pub fn clip_to_refresh(&self, name: &str) -> Result<(ClipInfo, Deed), Refusal> {
        self.need(Scope::SettingsWrite)?;
        let clip = self.seen_clip(name)?;
        if !self.changes_clip(name)? {
            return Err(for_all(name, "change"));
        }
        let owner = self.store().clip_owner(name)?;
        Ok((clip, self.who().deed("clip.refresh", name, owner.as_deref())))
    }

    /// The packets of one form of a clip; `None`: it has been replaced or removed, or has no such form.
    pub fn clip_rendition(&self, clip: &ClipInfo, profile: RenditionProfile) -> Result<Option<Vec<u8>>, Refusal> {
        self.need(Scope::SettingsRead)?;
        match self.sees_clip(&clip.name)? {
            true => Ok(self.store().rendition(clip.id, profile)?),
            false => Ok(None),
        }
    }

    /// Adds to a clip what was made of it; what it has stays.
    ///
    /// # Errors
    /// As [`Access::clip_to_refresh`]; it has been replaced meanwhile.
    pub fn add_renditions(&self, clip: &ClipInfo, made: Vec<NewRendition>) -> Result<ClipInfo, Refusal> {
        let (_, deed) = self.clip_to_refresh(&clip.name)?;
        Ok(self.store().acting(deed).add_renditions(clip, made)?)
    }

    /// A clip's still picture; `None`: it has none.
    pub fn clip_poster(&self, name: &str) -> Result<Option<MediaFile>, Refusal> {
        self.seen_clip(name)?;
        Ok(self.store().clip_media(name, true)?)
    }

    /// A clip as browsers play it; `None`: it has not been made yet, of this clip.
    pub fn clip_preview(&self, name: &str) -> Result<Result<MediaFile, ClipInfo>, Refusal> {
        let clip = self.seen_clip(name)?;
        Ok(self.store().clip_media(name, false)?.ok_or(clip))
    }

    /// A clip that they may see.
    fn seen_clip(&self, name: &str) -> Result<ClipInfo, Refusal> {
        self.need(Scope::SettingsRead)?;
        let clip = self.store().clip(name)?;
        if clip.is_built_in() || !self.sees_clip(name)? {
            return Err(Refusal::not_found("clip", name));
        }
        Ok(clip)
    }

    /// An operator changes all, a subscriber their own.
    fn changes_clip(&self, name: &str) -> Result<bool, Refusal> {
        match self.own_name() {
            Some(own) => Ok(self.store().clip_owner(name)?.as_deref() == Some(own)),
            None => Ok(true),
        }
    }

    fn sees_clip(&self, name: &str) -> Result<bool, Refusal> {
        match self.own_name() {
            Some(own) => Ok(self.store().may_use_clip(own, name)?),
            None => Ok(true),
        }
    }
}
