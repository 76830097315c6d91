//! What happens beside a call record: the words of `segue events` (docs/events.md).

use serde::{Deserialize, Serialize};

use crate::{CallResult, MediaKind, PhaseName, UnixMs};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: UnixMs,
    /// The call that it belongs to.
    pub call_id: Option<String>,
    /// Call-ID of the caller's leg, or of the refused request.
    pub sip_call_id: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// A call back from a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBackFacts {
    /// Whose sender was called.
    pub message_id: String,
    /// The URI that was called, as a phone would dial it; the sender's own where nobody was to be called.
    pub to: String,
    /// The leg of the call's record that has answered, or was tried last, counted from 0 (the caller's); `None`: nobody was tried.
    pub leg: Option<u32>,
    /// Somebody answered.
    pub answered: bool,
    /// SIP status that decided its end, when one did.
    pub cause: Option<u16>,
    /// One sentence, without its full stop.
    pub why: String,
}

/// What happened. The names in `type` are stable; fields may be added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Happening {
    /// An INVITE became a call.
    #[serde(rename = "call.started")]
    CallStarted {
        /// The caller's From URI.
        from: String,
        /// The Request-URI.
        to: String,
    },
    /// A call has come to another phase.
    #[serde(rename = "call.phase")]
    CallPhase {
        /// The new one.
        phase: PhaseName,
        /// The one before.
        before: PhaseName,
        /// How long that one lasted, milliseconds.
        lasted_ms: u64,
    },
    /// The caller has chosen to watch the clip to its end.
    #[serde(rename = "call.prolonged")]
    CallProlonged {
        /// How long the hold lasts now, from the clip's first packet, milliseconds.
        hold_ms: u64,
    },
    /// What the caller hears or sees has changed.
    #[serde(rename = "call.switch")]
    CallSwitch {
        /// The new source: `clip`, `callee`, `greeting`, `beep`.
        to: String,
        /// Which stream.
        kind: MediaKind,
        /// Last packet of the old source to the first of the new one, milliseconds; absent for the first source.
        gap_ms: Option<u64>,
    },
    /// A subscriber has called the sender of a message back from its mailbox; that call is over, or was none.
    #[serde(rename = "call.back")]
    CallBack(CallBackFacts),
    /// A call's last leg has ended; its record follows in the store.
    #[serde(rename = "call.ended")]
    CallEnded {
        /// How.
        result: CallResult,
        /// SIP status that decided the end, when one did.
        cause: Option<u16>,
        /// One sentence.
        why: String,
        /// The message that it left.
        message_id: Option<String>,
    },
    /// A request was refused or dropped before it became a call.
    #[serde(rename = "request.refused")]
    RequestRefused {
        /// Its record, for `segue call show`.
        refused_id: String,
        /// Where it came from.
        source: String,
        /// Its method, when it could be read.
        method: String,
        /// The status that it got; absent: it was dropped.
        status: Option<u16>,
        /// Why.
        why: String,
        /// Refusals before this one, of any source, that were only counted.
        withheld: u64,
    },
    /// A message is stored with its media.
    #[serde(rename = "message.committed")]
    MessageCommitted(MessageFacts),
    /// A message was marked heard.
    #[serde(rename = "message.heard")]
    MessageHeard(MessageFacts),
    /// A message was marked unheard.
    #[serde(rename = "message.unheard")]
    MessageUnheard(MessageFacts),
    /// A message is gone for its mailbox.
    #[serde(rename = "message.deleted")]
    MessageDeleted {
        /// Which.
        #[serde(flatten)]
        message: MessageFacts,
        /// `user`, or the retention rule that took it, e.g. `heard_max`.
        by: String,
    },
    /// A message came back.
    #[serde(rename = "message.restored")]
    MessageRestored(MessageFacts),
    /// A server of a trunk takes calls.
    #[serde(rename = "trunk.up")]
    TrunkUp {
        /// The trunk's name.
        trunk: String,
        /// The server's address.
        server: String,
        /// What it was before: `unchecked`, `suspended`, `down`.
        was: String,
        /// Why.
        why: String,
    },
    /// A server of a trunk takes no calls while another does.
    #[serde(rename = "trunk.down")]
    TrunkDown {
        /// The trunk's name.
        trunk: String,
        /// The server's address.
        server: String,
        /// `down`, it does not answer; or `suspended`, it has asked for a pause.
        state: String,
        /// What it was before.
        was: String,
        /// Why.
        why: String,
    },
    /// A trunk's provider knows where we are.
    #[serde(rename = "trunk.registered")]
    TrunkRegistered {
        /// The trunk's name.
        trunk: String,
        /// The server's address.
        server: String,
        /// Our address there.
        identity: String,
        /// What it said.
        why: String,
    },
    /// It does not: no calls come from it.
    #[serde(rename = "trunk.unregistered")]
    TrunkUnregistered {
        /// The trunk's name.
        trunk: String,
        /// `failing`, it is asked again soon; `refused`, it will not have us; `left`, we have taken it back.
        state: String,
        /// What it was before.
        was: String,
        /// Our address there.
        identity: String,
        /// Why.
        why: String,
    },
    /// A phone has registered at a place that was not registered before.
    #[serde(rename = "registration.added")]
    RegistrationAdded(RegistrationFacts),
    /// A registration is gone.
    #[serde(rename = "registration.removed")]
    RegistrationRemoved {
        /// Which.
        #[serde(flatten)]
        registration: RegistrationFacts,
        /// `removed`: by the phone, another registration of it, or a command; `expired`: it was not said again in time.
        why: String,
    },
    /// A subscriber was told of something.
    #[serde(rename = "notice.sent")]
    NoticeSent(NoticeOutcome),
    /// A subscriber could not be told, and it is not tried again: a dead letter.
    #[serde(rename = "notice.dead")]
    NoticeDead(NoticeOutcome),
    /// A subscriber's PIN was wrong too often: it is not taken for a while.
    #[serde(rename = "subscriber.locked")]
    SubscriberLocked {
        /// Whose.
        user: String,
        /// Until when.
        until: UnixMs,
        /// Where the last wrong one came from.
        source: String,
    },
    /// The configuration was read again.
    #[serde(rename = "server.reloaded")]
    ServerReloaded {
        /// Whether it was taken.
        taken: bool,
        /// What was changed, or why it was refused.
        detail: String,
    },
    /// The server takes calls.
    #[serde(rename = "server.ready")]
    ServerReady {
        /// Its version.
        version: String,
    },
    /// The server takes no new calls and ends.
    #[serde(rename = "server.stopping")]
    ServerStopping,
}

/// What identifies a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFacts {
    /// Its id.
    pub message_id: String,
    /// Whose it is.
    pub mailbox: String,
    /// Who left it.
    pub from: String,
    /// `video` or `audio`.
    pub kind: String,
    /// Its length, milliseconds.
    pub duration_ms: u64,
    /// Bytes of its media.
    pub bytes: u64,
}

/// What identifies a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationFacts {
    /// Whose.
    pub user: String,
    /// The contact's URI.
    pub contact: String,
    /// Where the REGISTER came from.
    pub source: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// The phone.
    pub user_agent: Option<String>,
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeOutcome {
    /// Its number, as in `segue notice list`.
    pub notice_id: String,
    /// What was told of, e.g. `message.committed`.
    pub event: String,
    /// The subscriber.
    pub user: String,
    /// `mail`, `webhook` or `message`.
    pub channel: String,
    /// Attempts.
    pub attempts: u32,
    /// The message that it was about.
    pub message_id: Option<String>,
    /// What the receiver said last, or why it could not be asked.
    pub said: String,
}

impl Happening {
    /// Its `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Happening::CallStarted { .. } => "call.started",
            Happening::CallPhase { .. } => "call.phase",
            Happening::CallProlonged { .. } => "call.prolonged",
            Happening::CallBack(_) => "call.back",
            Happening::CallSwitch { .. } => "call.switch",
            Happening::CallEnded { .. } => "call.ended",
            Happening::RequestRefused { .. } => "request.refused",
            Happening::MessageCommitted(_) => "message.committed",
            Happening::MessageHeard(_) => "message.heard",
            Happening::MessageUnheard(_) => "message.unheard",
            Happening::MessageDeleted { .. } => "message.deleted",
            Happening::MessageRestored(_) => "message.restored",
            Happening::TrunkUp { .. } => "trunk.up",
            Happening::TrunkDown { .. } => "trunk.down",
            Happening::TrunkRegistered { .. } => "trunk.registered",
            Happening::TrunkUnregistered { .. } => "trunk.unregistered",
            Happening::RegistrationAdded(_) => "registration.added",
            Happening::RegistrationRemoved { .. } => "registration.removed",
            Happening::NoticeSent(_) => "notice.sent",
            Happening::NoticeDead(_) => "notice.dead",
            Happening::SubscriberLocked { .. } => "subscriber.locked",
            Happening::ServerReloaded { .. } => "server.reloaded",
            Happening::ServerReady { .. } => "server.ready",
            Happening::ServerStopping => "server.stopping",
        }
    }
}

impl Event {
    /// Something that belongs to no call.
    pub fn of_the_server(at: UnixMs, what: Happening) -> Event {
        Event {
            at,
            call_id: None,
            sip_call_id: None,
            what,
        }
    }
}
