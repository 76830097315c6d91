//! Messages.

use segue_mailbox::{Kind, Message, State};
use segue_records::UnixMs;
use segue_store::{Deleted, MediaFile, MessageChanges, MessageQuery, MessageRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Access, Page, PageAsked, Refusal, Scope};

/// A player asks for a message piece by piece: opening it again within this long is one deed, milliseconds.
const OPENED_AGAIN_MS: i64 = 600_000;

/// A message as programs see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MessageView {
    /// Sorts by arrival.
    pub id: String,
    /// Whose it is.
    pub mailbox: String,
    /// Id of the call that left it.
    pub call_id: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// The caller's URI.
    pub from: String,
    /// The caller's display name.
    pub from_name: Option<String>,
    /// When the recording began, RFC 3339.
    pub received_at: String,
    /// When it was heard, RFC 3339.
    pub heard_at: Option<String>,
    /// Playing time.
    pub duration_ms: u64,
    /// `video` or `audio`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// `heard` or `unheard`.
    #[schema(value_type = String)]
    pub state: State,
    /// `ready`, or `raw`: it cannot be played yet.
    #[schema(value_type = String)]
    pub media_state: segue_mailbox::MediaState,
    /// Size of its media and picture.
    pub bytes: u64,
    /// The recording was cut by a crash and salvaged.
    pub interrupted: bool,
    /// The caller called it urgent.
    pub urgent: bool,
    /// No rule counts or deletes it.
    pub pinned: bool,
    /// When its owner was warned that it will go, RFC 3339.
    pub warned_at: Option<String>,
    /// When it went to the trash, RFC 3339.
    pub deleted_at: Option<String>,
    /// What put it there: `user`, or a rule's name.
    pub deleted_by: Option<String>,
    /// How far it was played: where a player goes on.
    pub played_ms: Option<u64>,
    /// There is a still picture of it.
    pub has_poster: bool,
    /// What its media is, e.g. `video/mp4`.
    pub media_type: String,
}

impl From<MessageRow> for MessageView {
    fn from(row: MessageRow) -> MessageView {
        let at = |ms: i64| UnixMs(ms).rfc3339();
        let state = row.message.state();
        let Message { keeping, .. } = row.message;
        MessageView {
            id: row.message.id,
            mailbox: row.message.mailbox,
            call_id: row.message.call_id,
            sip_call_id: row.message.sip_call_id,
            from: row.message.from,
            from_name: row.message.from_name,
            received_at: at(row.message.received_at_ms),
            heard_at: row.message.heard_at_ms.map(at),
            duration_ms: row.message.duration_ms,
            kind: row.message.kind,
            state,
            media_state: row.message.media_state,
            bytes: row.message.bytes,
            interrupted: row.message.interrupted,
            urgent: row.message.urgent,
            pinned: keeping.pinned,
            warned_at: keeping.warned_at_ms.map(at),
            deleted_at: keeping.deleted_at_ms.map(at),
            deleted_by: keeping.deleted_by,
            played_ms: row.played_ms,
            has_poster: row.has_poster,
            media_type: row.media_type,
        }
    }
}

/// Which messages.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessagesAsked {
    /// Of this subscriber; an operator may leave it out for all.
    pub mailbox: Option<String>,
    /// Those in the trash instead.
    #[serde(default)]
    pub trash: bool,
    /// Heard or unheard ones alone.
    pub heard: Option<bool>,
    /// Pinned or unpinned ones alone.
    pub pinned: Option<bool>,
    /// `video` or `audio` alone.
    #[param(value_type = Option<String>)]
    pub kind: Option<Kind>,
    /// Those whose caller's address or name has this in it, in whatever case.
    pub q: Option<String>,
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// Where it begins, milliseconds from the message's start.
    pub from_ms: u64,
    /// Where it ends.
    pub to_ms: u64,
}

/// Parts of one report.
const STRETCHES_MAX: usize = 200;

/// What is to be changed of a message; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageChange {
    /// It counts as heard, or not.
    pub heard: Option<bool>,
    /// No rule counts or deletes it, or they do.
    pub pinned: Option<bool>,
    /// Where a player goes on. Nothing is heard by that.
    pub played_ms: Option<u64>,
    /// Parts that were played, 200 at most; they are added to what was played before. With 80 % of it in all it counts as heard, whatever was
    /// skipped; what lies behind its end does not count.
    #[serde(default)]
    pub played: Vec<Stretch>,
}

impl MessageChange {
    fn checked(self) -> Result<MessageChanges, Refusal> {
        if self.played.len() > STRETCHES_MAX {
            return Err(Refusal::invalid("played", format!("there are {STRETCHES_MAX} at most")));
        }
        if self.played.iter().any(|part| part.from_ms > part.to_ms) {
            return Err(Refusal::invalid(
                "played",
                "a part ends no sooner than it begins".to_owned(),
            ));
        }
        Ok(MessageChanges {
            played_ms: self.played_ms,
            played: self.played.iter().map(|part| (part.from_ms, part.to_ms)).collect(),
            heard: self.heard,
            pinned: self.pinned,
        })
    }
}

impl Access {
    /// Messages, the newest first.
    pub fn messages(&self, asked: &MessagesAsked, page: &PageAsked) -> Result<Page<MessageView>, Refusal> {
        self.need(Scope::MessagesRead)?;
        let limit = page.limit()?;
        let query = MessageQuery {
            mailbox: self.owner_of_list(asked.mailbox.as_deref())?,
            trash: asked.trash,
            heard: asked.heard,
            pinned: asked.pinned,
            kind: asked.kind,
            text: asked.q.clone().filter(|text| !text.trim().is_empty()),
            before: page.after()?,
            max: limit.saturating_add(1),
        };
        let found = self.store().messages_page(&query)?;
        Ok(Page::looked(
            found,
            limit,
            |row| row.message.id.clone(),
            MessageView::from,
        ))
    }

    /// One message, also in the trash.
    pub fn message(&self, id: &str) -> Result<MessageView, Refusal> {
        self.need(Scope::MessagesRead)?;
        self.owned_message(id).map(MessageView::from)
    }

    /// How many wait.
    pub fn waiting(&self, mailbox: &str) -> Result<segue_mailbox::Waiting, Refusal> {
        self.need(Scope::MessagesRead)?;
        self.owned_user(mailbox)?;
        Ok(self.store().waiting(mailbox)?)
    }

    /// The media of a message, or its still picture; `None`: it has no picture. That an operator opens another's is put down.
    pub fn message_media(&self, id: &str, poster: bool) -> Result<Option<MediaFile>, Refusal> {
        self.need(Scope::MessagesRead)?;
        self.owned_message(id)?;
        Ok(self.store().media_file(id, poster)?)
    }

    /// A piece of media that was opened, from a byte on.
    pub fn media_piece(&self, file: &MediaFile, from: u64, max: usize) -> Result<Vec<u8>, Refusal> {
        Ok(self.store().read_media_at(file, from, max)?)
    }

    /// Puts down that an operator has opened a subscriber's message.
    pub fn opened(&self, id: &str) -> Result<(), Refusal> {
        if self.own_name().is_none() {
            let row = self.owned_message(id)?;
            let deed = self.who().deed("message.open", id, Some(&row.message.mailbox));
            self.store().put_down_once(deed, OPENED_AGAIN_MS)?;
        }
        Ok(())
    }

    /// Changes a message if it is as `is_as_seen` wants it when it is changed, and says what it is then.
    ///
    /// # Errors
    /// It is not there, or in the trash; a part that was played is none; [`Refusal::Changed`].
    pub fn change_message(
        &self,
        id: &str,
        change: MessageChange,
        is_as_seen: impl FnOnce(&MessageView) -> bool + Send + 'static,
    ) -> Result<MessageView, Refusal> {
        self.need(Scope::MessagesWrite)?;
        let owner = self.owned_message(id)?.message.mailbox;
        let acting = self.acting("message.change", id, Some(&owner));
        let is_so = move |now: &MessageRow| is_as_seen(&now.clone().into());
        Ok(acting
            .change_message(id, self.now_ms(), change.checked()?, is_so)?
            .into())
    }

    /// Deletes a message: into the trash, or for good where there is none.
    pub fn delete_message(&self, id: &str) -> Result<Deleted, Refusal> {
        self.need(Scope::MessagesWrite)?;
        let owner = self.owned_message(id)?.message.mailbox;
        let acting = self.acting("message.delete", id, Some(&owner));
        Ok(acting.delete_message(id, self.now_ms())?)
    }

    /// Brings a message back from the trash; pinned: no rule takes it again.
    pub fn undelete_message(&self, id: &str, pinned: bool) -> Result<MessageView, Refusal> {
        self.restore_message(id, pinned)?;
        Ok(self.owned_message(id)?.into())
    }

    /// A message that is theirs; another's is not there.
    pub(crate) fn owned_message(&self, id: &str) -> Result<MessageRow, Refusal> {
        let row = self.store().message_row(id)?;
        match self.own_name() {
            Some(own) if own != row.message.mailbox => Err(Refusal::not_found("message", id)),
            _ => Ok(row),
        }
    }
}
