//! What goes into an [`Endpoint`](crate::Endpoint) and what comes out.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use segue_sip_wire::{KeyPress, Message, Parts, SessionUuid, Uri};

use crate::{along::Along, dialog::address, locate::Candidate};

/// Transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Protocol {
    /// It has connections: nothing is lost on it, and nothing is sent again.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self != Protocol::Udp
    }

    /// The port where none is named (RFC 3261 §18.2.1, §19.1.2).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Protocol::Udp | Protocol::Tcp => 5060,
            Protocol::Tls => 5061,
        }
    }

    /// As Via names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
            Protocol::Tls => "TLS",
        }
    }
}

/// One accepted or opened stream connection. `None` on UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// Where a message came from, or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// How.
    pub protocol: Protocol,
    /// Our listening socket.
    pub local: SocketAddr,
    /// The other side.
    pub remote: SocketAddr,
    /// The connection it came by (or must go by, if still open), for TCP and TLS.
    pub flow: Option<FlowId>,
}

/// Bytes to send.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// Where to. For TCP and TLS without a (living) flow: connect to `remote`.
    pub peer: Peer,
    /// Who must be there, for a TLS connection that is opened for it (RFC 5922 §7.3); `None`: the address itself.
    pub domain: Option<Arc<str>>,
    /// One whole message.
    pub bytes: Bytes,
    /// Given back with `handle_transport_error` if it could not be sent.
    pub id: u64,
}

/// A session: one INVITE and the dialog(s) it makes; one leg of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A request within a dialog that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask(pub u64);

/// An OPTIONS that asks whether a server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PingId(pub u64);

/// What whoever is answered may send outside dialogs, as Allow tells it (RFC 3261 §20.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Served {
    /// Calls alone.
    #[default]
    Calls,
    /// REGISTER too.
    Registrations,
    /// REGISTER and SUBSCRIBE too.
    Subscriptions,
}

/// A request of ours outside sessions that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The dialog of a subscription, in which we notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);
/// A text on its way to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u64);

/// A registration of ours with somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId(pub u64);

/// Settings of an [`Endpoint`](crate::Endpoint).
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Round-trip estimate T1 (RFC 3261 §17.1.1.1), normally 500 ms. All other timers follow from it.
    pub t1: Duration,
    /// Seed of all tags, branches and Call-IDs. Unguessable in production, fixed in tests.
    pub seed: u64,
    /// Server and User-Agent header value.
    pub user_agent: String,
    /// Our listening sockets.
    pub sockets: Vec<Local>,
    /// More sessions than this: a new INVITE gets 503 with Retry-After.
    pub sessions_max: usize,
    /// What OPTIONS for a user gets is the user's to say ([`Event::Options`]); else it is 200.
    pub ask_options: bool,
    /// The longest that a server's 503 with Retry-After keeps calls from it; zero: not at all.
    pub pause_max: Duration,
}

impl Default for EndpointConfig {
    /// T1 of 500 ms, no socket, 20,000 sessions, pauses of 30 s.
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            seed: 0,
            user_agent: concat!("Segue/", env!("CARGO_PKG_VERSION")).to_owned(),
            sockets: Vec::new(),
            sessions_max: 20_000,
            ask_options: false,
            pause_max: Duration::from_secs(30),
        }
    }
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The bound address, as [`Peer::local`] says it.
    pub bind: SocketAddr,
    /// `host[:port]` for our Via and Contact.
    pub advertise: String,
}

/// An INVITE to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Request-URI.
    pub target: Uri,
    /// To, and its display name; `None`: the target.
    pub to: Option<(Uri, Option<String>)>,
    /// Route, first hop first.
    pub route: Vec<Uri>,
    /// The next server, where that stands in no Route.
    pub hop: Option<Uri>,
    /// From.
    pub from: Uri,
    /// Display name of From.
    pub from_name: Option<String>,
    /// The offer, application/sdp.
    pub sdp: Arc<[u8]>,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// More headers, in order.
    pub headers: Vec<(String, String)>,
    /// More parts of its body.
    pub parts: Parts,
    /// Which of our sockets it leaves from (its address also finds the TCP one beside it).
    pub local: SocketAddr,
    /// The servers to try, in order. Nobody: the next hop's host when that is an address or localhost; else the session fails
    /// with a local 503.
    pub candidates: Vec<Candidate>,
    /// Option tags for Supported, e.g. `100rel`. Those that the callee's 420 names are left out when the INVITE is made
    /// again.
    pub supported: Vec<&'static str>,
    /// Option tags for Require; so are these.
    pub required: Vec<&'static str>,
    /// For whom we call, in Session-ID (RFC 7989).
    pub session_uuid: Option<SessionUuid>,
    /// What we want of the session timer.
    pub interval: SessionInterval,
    /// An emergency call: no server that asked for a pause is left out.
    pub urgent: bool,
    /// There is another way after these servers: none of them is waited for as long as the only one would be.
    pub has_other_way: bool,
    /// It goes where a request of the callee came from, and so does all that follows in its dialogs, whatever their URIs say: the
    /// callee is behind a NAT, or has opened the connection. Its only candidate.
    pub back_to: Option<Peer>,
}

/// What we want of a session timer (RFC 4028). Whatever that is, a peer that wants one gets it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionInterval {
    /// The session interval, seconds; 0: we ask for none.
    pub expires_s: u32,
    /// The least that we take, seconds; never less than 90.
    pub min_se_s: u32,
    /// Who is to refresh, where that is open.
    pub refreshes: Refreshes,
}

/// Who refreshes a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refreshes {
    /// As UAC we leave it to the peer to say, as UAS the peer does it.
    #[default]
    Negotiated,
    /// We do.
    We,
    /// The peer does.
    Peer,
}

impl Outgoing {
    /// Where it goes first, as far as that is known.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        let first = self.candidates.first().map(|candidate| candidate.remote);
        first.or_else(|| address(self.next_hop()))
    }

    /// Whose host and transport say where it goes: the next server that we know of our own, else "the first Route header field value,
    /// if present, or … the Request-URI" (RFC 3261 §16.6 step 7).
    pub fn next_hop(&self) -> &Uri {
        self.hop.as_ref().or(self.route.first()).unwrap_or(&self.target)
    }
}

/// A command that could not be carried out; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It never was, or its `Terminated` has been polled.
    #[error("no such session")]
    NoSuchSession,
    /// The session is past, or not yet at, the point where this can be said.
    #[error("{command} is not possible: {state}")]
    WrongState {
        /// What was asked.
        command: &'static str,
        /// Where the session is.
        state: &'static str,
    },
    /// Nothing to answer: the offer was withdrawn (its CANCEL or BYE came) or there was none.
    #[error("no offer is pending")]
    NoOffer,
    /// The INVITE asks for a shorter session interval than we take.
    #[error("the session interval is shorter than {min_se_s} s")]
    IntervalTooSmall {
        /// The least, for Min-SE.
        min_se_s: u32,
    },
    /// Too many provisional responses wait for a PRACK.
    #[error("too many provisional responses are waiting")]
    QueueFull,
}

/// One message of a session, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderEntry {
    /// When.
    pub at: Instant,
    /// We sent it.
    pub out: bool,
    /// E.g. `183 Session Progress (SDP)`, `PRACK`, `200 OK for PRACK`; a retransmission ends in `, again`.
    pub summary: String,
}

/// A provisional response to send on a UAS session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// 101 to 199.
    pub status: u16,
    /// With `Require: 100rel`, RSeq, and retransmission until the PRACK.
    pub reliable: bool,
    /// application/sdp body.
    pub sdp: Option<Arc<[u8]>>,
    /// More headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// What goes along.
    pub along: Along,
}

/// What happened. Every session ends with exactly one `Terminated`.
#[derive(Debug, Clone)]
pub enum Event {
    /// The final response to a request of ours outside sessions.
    Replied {
        /// Which.
        request: RequestId,
        /// The response; `None`: none came, or it could not be sent.
        response: Option<Arc<Message>>,
        /// Its Retry-After.
        retry_after: Option<Duration>,
    },
    /// A new INVITE (100 sent, retransmissions absorbed, merged ones answered 482, unknown Require 420, bad body
    /// 415/400).
    Incoming {
        /// The new UAS session.
        session: SessionId,
        /// The INVITE.
        invite: Arc<Message>,
        /// Where it came from.
        peer: Peer,
    },
    /// UAS: PRACK for our reliable provisional response (200 sent).
    Prack {
        /// Which.
        session: SessionId,
        /// Its body when it carries the answer to our offer (delayed offer). A new offer in it comes as `Offer`.
        sdp: Option<Arc<[u8]>>,
    },
    /// UAS: no PRACK within 64·T1. The INVITE is still unanswered.
    PrackTimeout {
        /// Which.
        session: SessionId,
    },
    /// UAS: CANCEL; 200 and 487 have been sent.
    Cancelled {
        /// Which.
        session: SessionId,
        /// Reason header values.
        reasons: Vec<String>,
    },
    /// UAS: the 200 to the INVITE is held back until a PRACK has come, or an offer in the early dialog has its answer.
    AnswerHeld {
        /// Which.
        session: SessionId,
    },
    /// UAS: the 200 that was held back has been sent.
    AnswerSent {
        /// Which.
        session: SessionId,
    },
    /// ACK for our 2xx, to the INVITE or to a re-INVITE.
    Acked {
        /// Which.
        session: SessionId,
        /// Its body when it carries the answer to our offer (delayed offer).
        sdp: Option<Arc<[u8]>>,
    },
    /// No ACK for our 2xx, to the INVITE or to a re-INVITE, within 64·T1; BYE has been sent.
    AckTimeout {
        /// Which.
        session: SessionId,
    },
    /// UAC: a provisional response above 100 (PRACK sent when reliable; duplicates and out-of-order RSeq absorbed). After a 199
    /// (RFC 6228) nothing more comes from its early dialog.
    Provisional {
        /// Which.
        session: SessionId,
        /// The response.
        response: Arc<Message>,
    },
    /// UAC before the final response: an UPDATE, or a 2xx to a PRACK or UPDATE of ours, says something of early media (RFC 5009
    /// §8).
    EarlyMedia {
        /// Which.
        session: SessionId,
        /// The early dialog that it came in, by its remote tag.
        fork: Arc<str>,
        /// Where P-Early-Media stands.
        message: Arc<Message>,
    },
    /// UAC: the first 2xx (ACK sent, the losing forks get ACK and BYE).
    Answered {
        /// Which.
        session: SessionId,
        /// The response.
        response: Arc<Message>,
        /// The answer: its body, or that of this fork's last reliable 1xx with SDP.
        sdp: Option<Arc<[u8]>>,
    },
    /// UAC: a final refusal (ACK sent), or our own 408 or 503.
    Failed {
        /// Which.
        session: SessionId,
        /// 300 to 699.
        status: u16,
        /// Reason phrase; where the status is ours, which servers were tried and what became of that.
        phrase: String,
        /// The response; `None` when nothing came and the status is ours.
        response: Option<Arc<Message>>,
        /// No server was asked, since all have asked for a pause: so long will the first one's last (RFC 3261 §21.5.4).
        paused: Option<Duration>,
    },
    /// A server has asked for a pause by 503 with Retry-After: it gets no calls for so long, but emergency calls.
    Paused {
        /// Which.
        server: Candidate,
        /// How long.
        wait: Duration,
    },
    /// What became of a ping.
    Pong {
        /// Which.
        ping: PingId,
        /// The final response; `None`: none came, or it could not be sent.
        status: Option<u16>,
        /// Its Retry-After.
        retry_after: Option<Duration>,
    },
    /// What became of a REGISTER of ours.
    RegisterAnswered {
        /// Of which registration.
        registration: RegistrationId,
        /// The final response; `None`: none came, or it could not be sent.
        response: Option<Arc<Message>>,
    },
    /// What became of a text.
    Paged {
        /// Which.
        page: PageId,
        /// The final response; `None`: none came, or it could not be sent.
        status: Option<u16>,
        /// Its Retry-After.
        retry_after: Option<Duration>,
    },
    /// UAC: a 2xx crossed our CANCEL (ACK and BYE sent).
    CrossedCancel {
        /// Which.
        session: SessionId,
    },
    /// A re-INVITE or UPDATE with an offer (or a re-INVITE without); answer with `accept_offer` or `refuse_offer`.
    Offer {
        /// Which.
        session: SessionId,
        /// The offer.
        sdp: Option<Arc<[u8]>>,
        /// UAC before the final response: the early dialog that it came in, by its remote tag.
        fork: Option<Arc<str>>,
        /// Where it stands.
        request: Arc<Message>,
    },
    /// The peer has cancelled its re-INVITE (487 sent), or ended the early dialog of its UPDATE (481 sent): its `Offer` wants
    /// no answer any more.
    OfferWithdrawn {
        /// Which.
        session: SessionId,
    },
    /// The 2xx to our own offer within the dialog (ACK sent).
    OfferAnswered {
        /// Which.
        session: SessionId,
        /// The answer; `None`: the 2xx had none.
        sdp: Option<Arc<[u8]>>,
        /// The 2xx.
        response: Arc<Message>,
    },
    /// Our own offer within the dialog was refused: the session is as it was. 491 only when trying again did not help,
    /// or an offer of the peer has come before it.
    OfferRefused {
        /// Which.
        session: SessionId,
        /// 300 to 699.
        status: u16,
        /// The response; `None` when the status is ours.
        response: Option<Arc<Message>>,
    },
    /// The peer's BYE (200 sent); or the peer said that it knows the dialog no more, or nobody refreshed the session (BYE sent).
    Bye {
        /// Which.
        session: SessionId,
        /// Reason header values.
        reasons: Vec<String>,
        /// The BYE, if one came.
        request: Option<Arc<Message>>,
    },
    /// An INFO within the dialog tells of a key (200 sent).
    Key {
        /// Which.
        session: SessionId,
        /// The key.
        press: KeyPress,
    },
    /// An INFO within the dialog that is empty or media control (200 sent).
    Info {
        /// Which.
        session: SessionId,
        /// The request.
        request: Arc<Message>,
    },
    /// An INFO within a confirmed dialog that means nothing here; wants `answer_ask` or `decline_ask`, unless the session ends (487
    /// sent).
    Asked {
        /// Which.
        session: SessionId,
        /// What to answer.
        ask: Ask,
        /// The request.
        request: Arc<Message>,
    },
    /// The final response to an INFO of ours.
    AskAnswered {
        /// Which.
        session: SessionId,
        /// What was asked.
        ask: Ask,
        /// The response; `None`: there was none.
        response: Option<Arc<Message>>,
    },
    /// An UPDATE without an offer in a confirmed dialog that says more than that the session goes on (200 sent).
    Refreshed {
        /// Which.
        session: SessionId,
        /// The request.
        request: Arc<Message>,
    },
    /// OPTIONS for a user, outside any dialog: [`Endpoint::answer_options`](crate::Endpoint::answer_options) answers it.
    Options {
        /// Where it came from.
        peer: Peer,
        /// The request.
        request: Arc<Message>,
    },
    /// A request was refused by the endpoint itself (405, 420, 481, 482, 483, 501, 503, ...); there is no session.
    Refused {
        /// Where it came from.
        peer: Peer,
        /// The request.
        request: Arc<Message>,
        /// 400 to 699.
        status: u16,
    },
    /// Nothing is left of this session.
    Terminated {
        /// Which.
        session: SessionId,
    },
}
