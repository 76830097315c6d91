//! What remains of a call: one record per call, written when its last leg has ended.

use serde::{Deserialize, Serialize};

use crate::UnixMs;

/// One call, as `segue call show` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Our own identifier (ULID, 26 characters; sorts by start).
    pub id: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// The caller as it is shown: what a trusted side asserts (P-Asserted-Identity), else From; without parameters. A number is in E.164
    /// where the profile's numbering makes it so.
    pub from: String,
    /// The same as it was said, where that is another.
    #[serde(default)]
    pub from_said: Option<String>,
    /// The Request-URI the caller asked for.
    pub to: String,
    /// When the INVITE arrived.
    pub started_at: UnixMs,
    /// When our first clip packet left.
    pub first_media_at: Option<UnixMs>,
    /// When the INVITE to the callee left.
    pub invited_at: Option<UnixMs>,
    /// When A got a 200, from B or from the mailbox.
    pub answered_at: Option<UnixMs>,
    /// When the last leg had ended.
    pub ended_at: Option<UnixMs>,
    /// The hold asked for, milliseconds.
    pub hold_asked_ms: Option<u64>,
    /// The hold kept: first clip packet to the INVITE to B, milliseconds.
    pub hold_ms: Option<u64>,
    /// When A pressed `*` to watch the clip to its end; `hold_asked_ms` is then the prolonged hold.
    #[serde(default)]
    pub prolonged_at: Option<UnixMs>,
    /// The furthest phase the call came to.
    pub phase_reached: PhaseName,
    /// How it ended.
    pub result: CallResult,
    /// SIP status that decided the end, when one did.
    pub cause: Option<u16>,
    /// The caller's leg first, then the callee's, in the order they were made.
    pub legs: Vec<LegRecord>,
    /// Each change of what A hears or sees.
    pub switches: Vec<SwitchRecord>,
    /// The callee's rules that acted, in order.
    #[serde(default)]
    pub rules: Vec<RuleRecord>,
    /// The message that the call left.
    pub message_id: Option<String>,
    /// One sentence: why it ended so.
    pub why: String,
    /// What would have let a rejected call in.
    #[serde(default)]
    pub admit: Option<String>,
    /// The charging identifier that a trusted network before us gave the call (icid-value, RFC 7315 §4.6).
    #[serde(default)]
    pub icid: Option<String>,
    /// The caller's formats are all unknown here: its offer went on to the callee as it is, without a hold.
    #[serde(default)]
    pub relayed_untouched: bool,
    /// Where a rejected call came from: transport, address and port (`udp 192.0.2.7:5060`).
    #[serde(default)]
    pub source: Option<String>,
}

impl CallRecord {
    /// A call that has begun, by its identifier and the Call-ID of the caller's leg; nothing has come of it yet.
    pub fn begun(id: String, sip_call_id: String, started_at: UnixMs) -> CallRecord {
        CallRecord {
            id,
            sip_call_id,
            from: String::new(),
            from_said: None,
            to: String::new(),
            started_at,
            first_media_at: None,
            invited_at: None,
            answered_at: None,
            ended_at: None,
            hold_asked_ms: None,
            hold_ms: None,
            prolonged_at: None,
            phase_reached: PhaseName::LookingUp,
            result: CallResult::Failed,
            cause: None,
            legs: Vec::new(),
            switches: Vec::new(),
            rules: Vec::new(),
            message_id: None,
            why: String::new(),
            admit: None,
            icid: None,
            relayed_untouched: false,
            source: None,
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// B answered and was bridged.
    Answered,
    /// A message was kept.
    Message,
    /// The greeting began (or a beep), and the caller hung up before a message was kept.
    Greeted,
    /// A recording shorter than the shortest message was dropped.
    TooShort,
    /// The mailbox had no room for a message, and the caller was told so.
    MailboxFull,
    /// A subscriber, or who said to be one, called their mailbox or another service.
    Mailbox,
    /// A hung up before B was invited.
    AbandonedWhileHeld,
    /// A hung up after B was invited, before an answer.
    Abandoned,
    /// We refused the call.
    Rejected,
    /// A fault of a peer, the network or ours.
    Failed,
}

impl CallResult {
    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            CallResult::Answered => "answered",
            CallResult::Message => "message",
            CallResult::Greeted => "greeted",
            CallResult::TooShort => "too_short",
            CallResult::MailboxFull => "mailbox_full",
            CallResult::Mailbox => "mailbox",
            CallResult::AbandonedWhileHeld => "abandoned_while_held",
            CallResult::Abandoned => "abandoned",
            CallResult::Rejected => "rejected",
            CallResult::Failed => "failed",
        }
    }
}

/// The phases of a call (architecture.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// The callee's plan is being read.
    LookingUp,
    /// A watches the clip; B knows nothing.
    Holding,
    /// B is invited.
    Ringing,
    /// A and B talk.
    Bridged,
    /// The personal greeting plays.
    Greeting,
    /// A chooses what to leave.
    Choosing,
    /// The recorder runs.
    Recording,
    /// A decides what becomes of what it recorded.
    Reviewing,
    /// The recording is being made a message.
    Saving,
    /// A subscriber serves itself: mailbox, greetings, do not disturb.
    Serving,
    /// The legs are being ended.
    Ending,
}

/// A rule of the callee's that acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Its place among them, counted from 1.
    pub place: u32,
    /// Why the callee did not take the call, or was not to be called (`busy`, `no-answer`, `declined`, `offline`, `dnd`,
    /// `out-of-hours`); absent: it acted before anybody rang.
    pub why: Option<String>,
    /// What was done: `ring`, `greeting`, `hang-up`, `forward`.
    pub did: String,
}

impl RuleRecord {
    /// In a few words: `2 hang-up`, `3 forward (busy)`.
    pub fn told(&self) -> String {
        let why = self.why.as_ref().map(|why| format!(" ({why})"));
        format!("{} {}{}", self.place, self.did, why.unwrap_or_default())
    }
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// An `m=audio` stream.
    Audio,
    /// An `m=video` stream.
    Video,
}

/// One SIP leg.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegRecord {
    /// Call-ID of this leg.
    pub sip_call_id: String,
    /// Request-URI of the leg's INVITE.
    pub target: String,
    /// The final status of its INVITE.
    pub status: Option<u16>,
    /// The reason phrase or Reason header that came with the end.
    pub reason: Option<String>,
    /// What went over the wire, in order.
    #[serde(default)]
    pub ladder: Vec<LadderStep>,
    /// What its RTP and RTCP counted, one for each m-line that carried anything.
    #[serde(default)]
    pub media: Vec<StreamRecord>,
}

/// One m-line of a leg, counted by us and, where it sent reports, by the peer (RFC 3550 §6.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// Which m-line.
    pub kind: MediaKind,
    /// RTP packets of the peer, doubles left out.
    pub received: u64,
    /// Packets of the peer that never came.
    pub lost: u64,
    /// Of those received: overtaken by others.
    pub late: u64,
    /// Interarrival jitter of what the peer sent, milliseconds.
    pub jitter_ms: u64,
    /// RTP packets to the peer.
    pub sent: u64,
    /// Of those from a clip: more than 5 ms after their time.
    pub sent_late: u64,
    /// Packets that the peer misses of ours, as it said last.
    pub peer_lost: Option<u64>,
    /// Jitter of ours as the peer said last, milliseconds.
    pub peer_jitter_ms: Option<u64>,
    /// The way to the peer and back, milliseconds.
    pub rtt_ms: Option<u64>,
    /// When packets of the peer were lost, in the order of time; a stretch is a second, or longer where there were many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<LossRecord>,
    /// When packets to the peer were lost: between two of its reports, about 5 s apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peer_losses: Vec<LossRecord>,
}

/// Packets that were lost within a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossRecord {
    /// What came before them came then.
    pub from: UnixMs,
    /// What came after them came then.
    pub until: UnixMs,
    /// How many.
    pub packets: u64,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// From us to the peer.
    Out,
    /// From the peer to us.
    In,
}

/// One message of a leg's ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LadderStep {
    /// When.
    pub at: UnixMs,
    /// Which way.
    pub sent: Sent,
    /// Start line in short, e.g. `183 Session Progress (SDP)`.
    pub summary: String,
}

/// One change of the source that A hears or sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwitchRecord {
    /// The new source: `clip`, `callee`, `greeting`, `beep`.
    pub to: String,
    /// Which stream.
    pub kind: MediaKind,
    /// Last packet of the old source to the first of the new one, milliseconds; absent for the first source.
    pub gap_ms: Option<u64>,
    /// When the new source's first packet left.
    pub at: UnixMs,
}
