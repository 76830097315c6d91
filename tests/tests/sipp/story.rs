//! What a story is, and what subscribers of stories want.

/// Who is called.
pub enum Callee {
    /// Nobody: the request is refused, or answered, before it comes to that.
    NoSubscriber,
    /// SIPp plays this scenario with this pause.
    Plays(&'static str, u64),
    /// SIPp plays this scenario twice: who refuses the codec is offered others.
    PlaysTwice(&'static str),
    /// The target's port is closed.
    Unreachable,
    /// The target takes datagrams and says nothing (over TCP: takes connections).
    Silent,
    /// SIPp must never be called.
    NeverCalled,
    /// A target for each of these, `Plays` or `NeverCalled`.
    Several(&'static [Callee]),
    /// The target sends its caller on to this host, where this one listens, `Plays` or `NeverCalled`.
    Redirects(&'static str, &'static Callee),
    /// A rule of the subscriber's forwards who meets the first busy to the second.
    Forwards(&'static Callee, &'static Callee),
    /// The target is this server and this subscriber again.
    Itself,
}
pub use Callee::{
    Forwards, Itself, NeverCalled, NoSubscriber, Plays, PlaysTwice, Redirects, Several, Silent, Unreachable,
};

impl Callee {
    /// How many legs Segue has towards it.
    pub fn legs(&self) -> usize {
        match self {
            NoSubscriber | NeverCalled | Itself => 0,
            Plays(..) | Unreachable | Silent => 1,
            PlaysTwice(_) => 2,
            Several(all) => all.iter().map(Callee::legs).sum(),
            Redirects(_, next) => 1 + next.legs(),
            Forwards(first, next) => first.legs() + next.legs(),
        }
    }
}

pub struct Story {
    pub name: &'static str,
    /// Scenario and pause of the caller.
    pub caller: (&'static str, u64),
    pub callee: Callee,
    /// Flags of `segue subscriber add`.
    pub flags: &'static [&'static str],
    /// `result` and `cause` of the call record; `None`: there is no call.
    pub result: Option<(&'static str, Option<u64>)>,
}

pub const HELD: &[&str] = &["--clip", "clip", "--hold", "1s"];
pub const NOT_DISTURBED: &[&str] = &["--clip", "clip", "--hold", "1s", "--dnd", "on"];
pub const HELD_IN_ORDER: &[&str] = &["--clip", "clip", "--hold", "1s", "--ring", "in-order"];
/// Nothing of the clip can be played: no hold.
pub const NOT_HELD: &[&str] = &["--clip", "clip", "--hold", "3s"];
/// The clip plays on to its end, for a caller who presses `*`.
pub const PROLONGED: &[&str] = &["--clip", "clip", "--hold", "1500ms"];
pub const HELD_LONG: &[&str] = &["--clip", "clip", "--hold", "20s"];
pub const SHORT_RING: &[&str] = &["--clip", "clip", "--hold", "500ms", "--no-answer", "1500ms"];
pub const SHORT_RING_GREETING: &[&str] = &[
    "--clip",
    "clip",
    "--hold",
    "0s",
    "--no-answer",
    "1s",
    "--greeting",
    "greeting",
];
#[rustfmt::skip]
pub const ON_GREETING: &[&str] = &["--hold-on", "greeting", "--greeting", "greeting", "--hold", "1s", "--no-answer", "1s"];
#[rustfmt::skip]
pub const ANSWERED_BEFORE: &[&str] = &["--no-answer", "1s", "--greeting", "greeting", "--clip", "clip", "--answer-at", "greeting"];
#[rustfmt::skip]
pub const ANSWERED_AFTER: &[&str] = &["--no-answer", "1s", "--greeting", "greeting", "--clip", "clip", "--answer-at", "after_greeting"];
pub const ANSWERED: Option<(&str, Option<u64>)> = Some(("answered", None));

pub const fn story(
    name: &'static str,
    caller: (&'static str, u64),
    callee: Callee,
    flags: &'static [&'static str],
    result: Option<(&'static str, Option<u64>)>,
) -> Story {
    Story {
        name,
        caller,
        callee,
        flags,
        result,
    }
}
