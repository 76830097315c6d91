//! Who may see and change what, and what they see: one way for commands, the API and the pages.
//!
//! - [`Manage`] lets somebody in: by name and password, by a one-time link, by the session that either began, by a token.
//! - What comes out is an [`Access`]: the store as that somebody may see it. It is the **only authorisation there is**: whoever holds
//!   one cannot reach what is not theirs, and nobody above this crate is given the store itself for what is somebody's. A thing of
//!   another's is answered as one that does not exist ([`Refusal::is_not_found`]).
//! - What changes something says who did it, and the store puts that down in the same transaction (`segue_store::Deed`).
//! - Views ([`MessageView`], ...) are what programs see, by `--json` and by the API alike.
//!
//! # To add something
//! A method of [`Access`] in the file of its topic under `access/`: first `self.need(Scope)?`, then what is owned by somebody is fetched
//! by a method that checks whose it is (`owned_message`, `owned_user`), then the store is asked; a change goes through
//! `self.acting(what, object, owner)`. A view beside it, with `Serialize` and `ToSchema`. Nothing of it knows HTTP.

mod access;
mod audit;
mod device;
mod explain;
mod link;
mod login;
mod page;
mod password;
mod refusal;
mod scope;
mod secret;
mod throttle;
pub mod told;
pub mod written;

pub use access::{
    Access, Who,
    accounts::{IMPORTED_MAX, PinView, Seals, SubscriberGiven, SubscriberPut, Typed},
    calls::{CallQuery, CallsWanted, SomeCalls},
    clips::{ClipUse, ClipView, RenditionView},
    contacts::{ContactGiven, ContactView, GroupGiven, GroupView},
    export::{Exported, SEVERAL_MAX},
    groups::{TeamGiven, TeamView},
    messages::{MessageChange, MessageView, MessagesAsked, Stretch},
    notices::{NoticeCountView, NoticeQuery, NoticeView},
    notify::{NotifyBounds, NotifyGiven, NotifyView},
    numbers::NumberView,
    refused::{RefusedView, refused_json},
    registrations::RegistrationView,
    retention::{
        AuditView, Change, ChangeForeseen, ForeseenView, RetentionChange, RetentionChanged, RetentionRun,
        RetentionView, lasting,
    },
    rules::{RuleGiven, RuleView},
    strict::Strict,
    subscribers::{SubscriberChange, SubscriberView},
    system::StorageView,
    targets::{TargetGiven, TargetView, TargetsView},
    tokens::{NewToken, TokenMade, TokenView},
    trunk_settings::TrunkSettings,
    trunks::{TrunkChange, TrunkGiven, TrunkView, Trunking},
    uploads::{NewUpload, UploadView},
};
pub use audit::DeedView;
pub use device::DEVICE_MS;
pub use explain::{At, Explained, Thought, Told};
pub use link::LINK_MS;
pub use login::{Begun, From, Limits, Manage};
pub use page::{Page, PageAsked};
pub use password::{PASSWORD_MIN, hash as password_hash};
pub use refusal::Refusal;
pub use scope::{Scope, Scopes};
pub use secret::Secret;
