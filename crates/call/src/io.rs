//! What goes into a call and what comes out. Everything outside the call core is told or asked in these words.

mod further;
mod mailbox;
mod media;
mod store;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use segue_policy::{Emergency, NextHop, Profile};
use segue_records::{CallRecord, UnixMs};
use segue_sdp::Direction;
use segue_sip_wire::Uri;

pub use further::{Further, KeySecret, Said, SentOn, Shown, Trail};
pub use mailbox::{Listed, MailboxAction, MailboxReply, NotReady, Opened};
pub use media::{ClipUse, MediaAction, MediaEvent, Ports, Source, Towards};
pub use store::{Lookup, StoreAction, StoreReply};

/// The moment of an input, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic: all timers.
    pub mono: Instant,
    /// Wall clock: only for what is written down.
    pub wall: UnixMs,
}

/// A leg of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u32);

impl LegId {
    /// The caller's leg.
    pub const A: LegId = LegId(0);
}

/// Settings that hold for all calls (`record.*`, caps).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallConfig {
    /// Recordings shorter than this are dropped, milliseconds (`record.min_ms`).
    pub record_min_ms: u64,
    /// The longest recording, milliseconds (`record.max_ms`).
    pub record_max_ms: u64,
    /// Silence that ends an audio recording, milliseconds (`record.silence_ms`).
    pub record_silence_ms: u64,
    /// The whole early phase stays under this, milliseconds (170 s).
    pub early_max_ms: u64,
}

/// A new INVITE from A, admitted by `profile`.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Call-ID of A's leg.
    pub sip_call_id: String,
    /// A's From URI, without parameters of the header.
    pub from: Uri,
    /// A's display name.
    pub from_name: Option<String>,
    /// The Request-URI.
    pub request_uri: Uri,
    /// What its other headers mean for the call.
    pub further: Further,
    /// The body when its type is application/sdp; `None` for a delayed offer.
    pub offer: Option<Arc<[u8]>>,
    /// A said `Supported: 100rel`.
    pub supports_100rel: bool,
    /// A said `Require: 100rel`.
    pub requires_100rel: bool,
    /// A is told by P-Early-Media what may flow before the answer (RFC 5009): it is in our trust domain and wants that, or its
    /// profile does.
    pub p_early_media: bool,
    /// Max-Forwards that B's INVITE will carry (already lowered).
    pub max_forwards: u8,
    /// How many branches the call may have at a time, here and further on (Max-Breadth, RFC 5393 §5); 0: not even one.
    pub max_breadth: u8,
    /// This INVITE belongs to a call that is here already: it has gone in a circle.
    pub is_loop: bool,
    /// Where we listen: targets there that name the callee would come back at once.
    pub own_sockets: Arc<[SocketAddr]>,
    /// The same by the names and ports that we say of ourselves.
    pub own_names: Arc<[(String, u16)]>,
    /// To, as A says it, without its tag.
    pub to: Uri,
    /// Its display name.
    pub to_name: Option<String>,
    /// It calls for help, or calls back who has: nothing stops or holds it.
    pub emergency: Option<Emergency>,
    /// The Route of the INVITE, as it came.
    pub route: Vec<Uri>,
    /// Where it came from.
    pub source: IpAddr,
    /// The profile that admitted it.
    pub profile: Arc<Profile>,
}

impl Incoming {
    /// Who is shown as the caller in record, message and events.
    pub fn shown(&self) -> Uri {
        let shown = self.further.shown.as_ref();
        shown.map_or(&self.from, |shown| &shown.uri).without_params()
    }

    /// The same with a number in E.164, by the profile's numbering; and as it was said, where that is another.
    pub fn caller(&self) -> (String, Option<String>) {
        let shown = self.shown();
        let said = shown.to_string();
        let number = self.profile.normalise(&said).number;
        let normal = number.and_then(|number| match shown.host() {
            None => Some(format!("tel:{number}")),
            Some(host) => {
                let port = shown.port().map(|port| format!(":{port}")).unwrap_or_default();
                let text = format!("{}:{number}@{host}{port}", shown.scheme().as_str());
                text.parse::<Uri>().ok().map(|uri| uri.to_string())
            }
        });
        match normal.filter(|normal| *normal != said) {
            Some(normal) => (normal, Some(said)),
            None => (said, None),
        }
    }
}

/// Everything that can happen to a call. Failures are inputs too.
#[derive(Debug, Clone)]
pub enum Input {
    /// Something on a SIP leg.
    Leg(LegId, LegEvent),
    /// Something on the packet path.
    Media(MediaEvent),
    /// An answer from the store.
    Store(StoreReply),
    /// `poll_timeout` is due.
    Timeout,
    /// A command from outside the call.
    Operator(Operator),
}

/// Commands from outside the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// End the call in order (a recording is kept).
    HangUp,
}

/// What happens on a SIP leg. `sip` has done what the RFCs demand unasked before it says so.
#[derive(Debug, Clone)]
pub enum LegEvent {
    /// A's PRACK for our reliable provisional response arrived (it has its 200).
    Prack,
    /// No PRACK within 64·T1 (RFC 3262 §3); the INVITE is still to be refused.
    PrackTimeout,
    /// A's CANCEL; the 200 and the 487 have been sent.
    Cancelled {
        /// Its Reason header, as far as it goes on to the other side.
        reason: Option<String>,
    },
    /// Our 200 to A waits: for the PRACK of its answer, or for the answer to an offer in the early dialog.
    AnswerHeld,
    /// The 200 that waited has been sent.
    AnswerSent,
    /// The ACK for our 2xx arrived.
    Acked,
    /// No ACK within 64·T1; the BYE has been sent (RFC 3261 §13.3.1.4).
    AckTimeout,
    /// The peer's BYE; its 200 has been sent, and when it came in the early dialog the INVITE's 487, too.
    Bye {
        /// Its Reason header, if any.
        reason: Option<String>,
    },
    /// A re-INVITE or UPDATE with (or for a re-INVITE maybe without) an offer; wants `AcceptOffer` or `RefuseOffer`.
    Offer {
        /// The offer; `None`: a re-INVITE that asks for ours.
        sdp: Option<Arc<[u8]>>,
        /// B before its 2xx: the early dialog that it came in.
        fork: Option<Arc<str>>,
    },
    /// A key, told by INFO (its 200 has been sent).
    Key {
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// How long it was pressed, milliseconds.
        duration_ms: u64,
    },
    /// The peer asks something within the dialog that means nothing here; wants `Ask` on the other side, or `DeclineAsk`.
    Asked {
        /// What to answer.
        ask: u64,
    },
    /// The peer says something new of itself within the dialog; it has its answer.
    Refreshed,
    /// The peer has cancelled its re-INVITE, or ended the early dialog of its UPDATE: its `Offer` wants no answer any more.
    OfferWithdrawn,
    /// The answer to an offer of ours: in the PRACK or ACK of our response, or in the 2xx to our re-INVITE or UPDATE.
    OfferAnswered {
        /// The answer; `None`: the 2xx had none.
        sdp: Option<Arc<[u8]>>,
    },
    /// Our re-INVITE or UPDATE was refused; the session is as it was.
    OfferRefused {
        /// 300 to 699.
        status: u16,
    },
    /// A 1xx of B above 100. A reliable one has its PRACK already.
    Provisional(Early),
    /// B before its 2xx: it asks for other early media, in an UPDATE or a 2xx of its own.
    EarlyMedia {
        /// Its early dialog.
        fork: Arc<str>,
        /// As in [`Early::early_media`].
        early_media: Vec<Direction>,
    },
    /// B's first 2xx (its ACK is sent). Later 2xx of other forks get ACK and BYE unasked.
    Answered {
        /// Its body when application/sdp, or that of this fork's last reliable 1xx.
        sdp: Option<Arc<[u8]>>,
        /// Its dialog.
        fork: Option<Arc<str>>,
    },
    /// B's final refusal, or our own: 408 after a time-out, 503 when the transport failed.
    Failed {
        /// 300 to 699.
        status: u16,
        /// Reason phrase.
        phrase: String,
        /// No response came from the peer: the status is ours.
        local: bool,
        /// What it says beside its status, for a caller who is told as it came.
        said: Said,
    },
    /// B's 3xx: it is to be reached elsewhere.
    Redirected {
        /// 300 to 399.
        status: u16,
        /// Reason phrase.
        phrase: String,
        /// Where, as many as are worth looking at, in its order.
        contacts: Vec<Contact>,
        /// As in `Failed`.
        said: Said,
    },
    /// B's 2xx crossed our CANCEL; it has its ACK and its BYE.
    CrossedCancel,
    /// Nothing is left of this leg in `sip`. Always the last event of a leg, exactly once.
    Terminated,
}

/// What a 1xx of B says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Early {
    /// 101 to 199; 199: this early dialog is over (RFC 6228).
    pub status: u16,
    /// Its early dialog, by B's tag; `None`: it makes none.
    pub fork: Option<Arc<str>>,
    /// Its body when application/sdp.
    pub sdp: Option<Arc<[u8]>>,
    /// What B asks to be let through before it answers, for each m-line as B sees it, the last for all that follow (RFC 5009 §8).
    /// `None`: it says nothing of that, or is not in our trust domain.
    pub early_media: Option<Vec<Direction>>,
    /// It says more that A is to hear, which goes along with what A is told of it.
    pub has_more: bool,
}

/// A Contact of a 3xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its URI.
    pub uri: Uri,
    /// Its preference in thousandths, 0 to 1000 (RFC 3261 §20.10).
    pub q: u16,
}

/// How a request gets to its target; by default by the target's own host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// To and its display name, where that is not the target.
    pub to: Option<(Uri, Option<String>)>,
    /// Route, first hop first.
    pub route: Vec<Uri>,
    /// The next server, which stands in no Route, or the trunk (`trunk:NAME`).
    pub hop: Option<Uri>,
    /// Where else it goes when nobody there takes it, in order.
    pub others: Vec<NextHop>,
}

/// What a SIP leg shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegAction {
    /// A: a 1xx.
    Progress {
        /// 101 to 199.
        status: u16,
        /// With `Require: 100rel` and RSeq.
        reliable: bool,
        /// The SDP answer.
        sdp: Option<Arc<[u8]>>,
        /// P-Early-Media (RFC 5009 §8): for each m-line of the answer what may flow, as we see it; empty: nothing is said.
        early_media: Vec<Direction>,
    },
    /// A: 200 to the INVITE. `sip` holds it while a reliable 1xx with SDP waits for its PRACK.
    Answer {
        /// The identical answer, or none after a reliable one.
        sdp: Option<Arc<[u8]>>,
    },
    /// A: a final refusal.
    Refuse(RefuseInfo),
    /// Make this leg: INVITE to B.
    Invite {
        /// B's URI.
        target: Uri,
        /// How it gets there.
        way: Box<Way>,
        /// A's identity as B shall see it (From).
        from: Uri,
        /// A's display name.
        from_name: Option<String>,
        /// The offer.
        sdp: Arc<[u8]>,
        /// Max-Forwards.
        max_forwards: u8,
        /// Max-Breadth: this branch's share.
        max_breadth: u8,
        /// How the call has come to this target.
        trail: Trail,
        /// What B's phone shows beside the caller: A stays to watch the clip.
        note: Option<String>,
    },
    /// B: CANCEL, held back until B has answered provisionally (RFC 3261 §9.1). A crossing 2xx gets ACK and BYE unasked,
    /// and the leg then says `CrossedCancel`.
    Cancel {
        /// Reason header value, e.g. `SIP;cause=200;text="Call completed elsewhere"` (RFC 3326).
        reason: Option<String>,
    },
    /// End a confirmed dialog. For A before its ACK: sent after the ACK or at the ACK's time-out (RFC 3261 §15).
    Bye {
        /// Reason header value.
        reason: Option<String>,
    },
    /// Answer the pending `Offer` with 200.
    AcceptOffer {
        /// Our answer (or our offer, when theirs was empty).
        sdp: Arc<[u8]>,
    },
    /// Refuse the pending `Offer`; the session stays as it was.
    RefuseOffer {
        /// 488, 491, 500 or 580.
        status: u16,
        /// Warning header value (RFC 3261 §20.43): why, with 488.
        warning: Option<String>,
    },
    /// Offer something new within the dialog: `OfferAnswered` or `OfferRefused` follows, unless the leg ends.
    Offer {
        /// The offer.
        sdp: Arc<[u8]>,
    },
    /// Ask this leg what the other asks, and answer that one as it answers.
    Ask {
        /// Who asks.
        of: LegId,
        /// What to answer there.
        ask: u64,
    },
    /// What this leg asks nobody takes.
    DeclineAsk {
        /// What to answer.
        ask: u64,
    },
    /// Say to this leg what the other says of itself.
    Refresh,
    /// INFO with media_control picture_fast_update (RFC 5168), where RTCP feedback was not negotiated.
    AskKeyFrame,
    /// INFO with a key, for a peer without telephone-event.
    TellKey {
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// How long it was pressed, milliseconds.
        duration_ms: u64,
    },
}

/// A final refusal of A's INVITE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefuseInfo {
    /// 400 to 699.
    pub status: u16,
    /// Reason header value (RFC 3326), if any.
    pub reason: Option<String>,
    /// Warning header value (RFC 3261 §20.43), if any.
    pub warning: Option<String>,
    /// Require header value: the extension without which the call is not taken (RFC 3261 §21.4.16), if any.
    pub require: Option<&'static str>,
    /// What a peer said beside its status, to be said again.
    pub said: Said,
    /// What was wrong with the offer (RFC 3312 §8), if that is to be said: neither offer nor answer.
    pub sdp: Option<Arc<[u8]>>,
}

/// What a call wants done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// On a SIP leg.
    Leg(LegId, LegAction),
    /// On the packet path.
    Media(MediaAction),
    /// In the store.
    Store(StoreAction),
    /// Everything has ended: legs, media, saving. Always the last output. Ladders and Call-IDs of B's legs are filled in
    /// by the one who performs.
    Ended(Box<CallRecord>),
}
