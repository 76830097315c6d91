//! Clips on their way in. Who has not begun an upload, and whose clip it will not be, does not see it.

use segue_records::UnixMs;
use segue_store::{Deed, Upload, UploadFile, UploadState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Refusal, Scope, Secret};

/// An upload that is to be begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct NewUpload {
    /// The clip's name; one of that name that is theirs is replaced once it is ready.
    pub name: String,
    /// Whose it will be; absent: for an operator everybody's, else their own.
    pub user: Option<String>,
    /// How long it is, bytes.
    pub bytes: u64,
}

/// An upload, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UploadView {
    /// Its id.
    pub id: String,
    /// The clip's name.
    pub name: String,
    /// Whose clip it will be; `null`: everybody's.
    pub owner: Option<String>,
    /// How long it is, bytes.
    pub bytes: u64,
    /// How many of them have come.
    pub offset: u64,
    /// `open`: bytes are to come; `queued`; `preparing`; `ready`: it is a clip; `refused`: it is none.
    pub state: &'static str,
    /// How far it has been prepared, percent; known while it is.
    pub percent: Option<u8>,
    /// Why it was refused.
    pub why: Option<String>,
    /// What can be done about that.
    pub fix: Option<String>,
    /// When it was begun, RFC 3339.
    pub begun_at: String,
    /// Until when it is there, RFC 3339.
    pub expires_at: String,
    /// The same, Unix milliseconds.
    #[serde(skip)]
    pub expires_at_ms: i64,
}

impl UploadView {
    /// Nothing more becomes of it.
    pub fn is_final(&self) -> bool {
        matches!(self.state, "ready" | "refused")
    }

    fn of(upload: Upload, offset: u64) -> UploadView {
        let (why, fix) = match &upload.state {
            UploadState::Refused { why, fix } => (Some(why.clone()), Some(fix.clone())),
            _ => (None, None),
        };
        UploadView {
            name: upload.clip().to_owned(),
            bytes: upload.bytes,
            offset,
            state: upload.state.name(),
            percent: None,
            why,
            fix,
            begun_at: UnixMs(upload.begun_at_ms).rfc3339(),
            expires_at: UnixMs(upload.expires_at_ms()).rfc3339(),
            expires_at_ms: upload.expires_at_ms(),
            owner: upload.deed.owner,
            id: upload.id,
        }
    }
}

impl Access {
    /// Begins an upload of a clip.
    ///
    /// # Errors
    /// The name is none for a clip, or another's; it is empty; too much is under way; there is no room.
    pub fn begin_upload(&self, new: &NewUpload) -> Result<UploadView, Refusal> {
        self.need(Scope::SettingsWrite)?;
        segue_mailbox::check_clip_name(&new.name).map_err(|wrong| Refusal::invalid("name", wrong.to_string()))?;
        if new.name == segue_mailbox::BUILT_IN_FULL_CLIP {
            return Err(Refusal::invalid(
                "name",
                "it is that of a built-in clip; choose another",
            ));
        }
        if let Some(user) = &new.user {
            self.owned_user(user)?;
        }
        if new.bytes == 0 {
            return Err(Refusal::invalid(
                "bytes",
                "the file is empty; choose one with audio or video",
            ));
        }
        let owner = self.own_name().or(new.user.as_deref());
        let deed = Deed {
            owner: owner.map(str::to_owned),
            ..self.who().deed("clip.upload", &new.name, None)
        };
        let begun = self
            .store()
            .begin_upload(&Secret::id()?, deed, new.bytes, self.now_ms())?;
        Ok(UploadView::of(begun, 0))
    }

    /// Uploads, the oldest first: those that they may see.
    pub fn uploads(&self) -> Result<Vec<UploadView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let all = self.store().uploads()?.into_iter();
        all.filter(|one| self.sees_upload(one))
            .map(|one| self.upload_view(one))
            .collect()
    }

    /// One upload.
    pub fn upload(&self, id: &str) -> Result<UploadView, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.upload_view(self.seen_upload(id)?)
    }

    /// Opens an upload to bring bytes from one on; `None`: another request does.
    ///
    /// # Errors
    /// [`Refusal::Changed`] when another byte comes next, or none.
    pub fn go_on_with_upload(&self, id: &str, offset: u64) -> Result<Option<UploadFile>, Refusal> {
        self.need(Scope::SettingsWrite)?;
        let found = self.seen_upload(id)?;
        Ok(self.store().go_on_with_upload(&found, offset)?)
    }

    /// Ends a request that brought bytes: they are on the disk then, and the last of them has it prepared.
    pub fn close_upload(&self, id: &str, file: UploadFile) -> Result<UploadView, Refusal> {
        let (has_come, is_whole) = file.close()?;
        // What brings nothing keeps nothing longer.
        if has_come || is_whole {
            self.store().touch_upload(id, is_whole, self.now_ms())?;
        }
        self.upload(id)
    }

    /// Ends an upload where it is: what has come is all.
    pub fn end_upload(&self, id: &str, file: UploadFile) -> Result<UploadView, Refusal> {
        let bytes = file.bytes()?;
        if bytes == 0 {
            return Err(Refusal::invalid("file", "it is empty; choose one with audio or video"));
        }
        file.close()?;
        self.store().end_upload(id, bytes, self.now_ms())?;
        self.upload(id)
    }

    /// Gives an upload up; a clip that it has become stays.
    pub fn remove_upload(&self, id: &str) -> Result<(), Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.seen_upload(id)?;
        Ok(self.store().remove_upload(id)?)
    }

    fn upload_view(&self, upload: Upload) -> Result<UploadView, Refusal> {
        let offset = self.store().upload_offset(&upload)?;
        Ok(UploadView::of(upload, offset))
    }

    fn seen_upload(&self, id: &str) -> Result<Upload, Refusal> {
        let found = self.store().upload(id)?;
        match self.sees_upload(&found) {
            true => Ok(found),
            false => Err(Refusal::not_found("upload", id)),
        }
    }

    fn sees_upload(&self, upload: &Upload) -> bool {
        self.own_name()
            .is_none_or(|own| upload.deed.owner.as_deref() == Some(own))
    }
}
