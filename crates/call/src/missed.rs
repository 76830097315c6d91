//! Why A and B did not come together.

use segue_policy::{Plan, Why};
use segue_sdp::{WarnCode, Warning};
use segue_sip_wire::phrase;

use crate::{io::Said, reason};

/// The longest phrase of a peer that goes into a sentence.
const PHRASE_MAX: usize = 80;

/// Why a place that a subscriber has set themselves is not called.
pub(crate) const BARRED: &str = "where calls of theirs do not go (destinations)";

/// Why B did not take the call; A goes to the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The SIP status that says so.
    pub cause: u16,
    /// The status is ours: no peer has said it.
    ours: bool,
    /// A sentence without its full stop.
    pub sentence: String,
    /// What the callee's rules call it; `None`: nobody was tried.
    pub why: Option<Why>,
    /// What the peer said beside its status.
    pub said: Said,
    /// What more there is to say of it to a caller who is told as it came.
    pub warning: Option<Warning>,
}

impl Missed {
    /// The no-answer timer ran out.
    pub fn no_answer(no_answer_ms: u64) -> Missed {
        Missed {
            cause: 408,
            ours: true,
            sentence: format!("The callee did not answer within {}", seconds(no_answer_ms)),
            why: Some(Why::NoAnswer),
            said: Said::default(),
            warning: None,
        }
    }

    /// The early phase has lasted as long as it may.
    pub fn too_long() -> Missed {
        Missed {
            cause: 408,
            ours: true,
            sentence: "The callee had not answered when the call had been unanswered for as long as it may".into(),
            why: Some(Why::NoAnswer),
            said: Said::default(),
            warning: None,
        }
    }

    /// B's final response, or ours in its place.
    pub fn refused(status: u16, their_phrase: &str, local: bool) -> Missed {
        if local {
            let what = match status {
                408 => "did not respond at all",
                503 => "could not be reached",
                _ => "could not be called",
            };
            // What is ours to say is who was asked, and what became of it.
            let why = match their_phrase {
                "" => String::new(),
                why => format!(": {why}"),
            };
            return Missed {
                cause: status,
                ours: true,
                sentence: format!("The callee {what} ({status} of our own{why})"),
                why: Some(Why::Offline),
                said: Said::default(),
                warning: None,
            };
        }
        let what = match status {
            486 | 600 => "was busy",
            403 | 603 | 607 | 608 => "declined",
            408 | 487 => "did not answer",
            404 | 410 | 480 | 604 => "was not available",
            488 | 606 | 415 => "accepted none of the caller's codecs",
            440 | 482 | 483 => "was called in a circle",
            300..=399 => "is to be reached elsewhere, which is not followed",
            401 | 407 => "could not be called: its side asks for credentials that are not ours",
            _ => "could not take the call",
        };
        let why = match status {
            486 | 600 => Why::Busy,
            403 | 603 | 607 | 608 => Why::Declined,
            408 | 487 => Why::NoAnswer,
            _ => Why::Offline,
        };
        let their_phrase: String = their_phrase
            .chars()
            .filter(|c| !c.is_control())
            .take(PHRASE_MAX)
            .collect();
        let said = if their_phrase.is_empty() {
            phrase(status).to_owned()
        } else {
            their_phrase
        };
        Missed {
            cause: status,
            ours: false,
            sentence: format!("The callee {what} ({status} {said})"),
            why: Some(why),
            said: Said::default(),
            warning: None,
        }
    }

    /// With what it said beside that.
    pub fn saying(self, said: Said) -> Missed {
        Missed { said, ..self }
    }

    /// What a caller is told to whom a callee's failure goes as it came. But a 503 would keep the caller from calling anybody by
    /// us: "the proxy SHOULD NOT forward [it] … [if it] is the only response …, generate a 500" (RFC 3261 §16.7 step 6), "unless it can
    /// determine that any subsequent requests it might proxy will also generate a 503". It never can: that the servers of this call
    /// are down says nothing of those of others. A Retry-After goes with the 500, and is of this request alone (§21.5.1). And a
    /// challenge was for us: the caller's credentials go no further, so that "authorization will not help" (§21.4.4).
    pub fn as_it_came(&self) -> (u16, Option<&'static str>) {
        match self.cause {
            503 => (500, Some(reason::NEXT_UNAVAILABLE)),
            401 => (403, Some(reason::ASKED_FOR_CREDENTIALS)),
            407 => (403, Some(reason::ASKED_FOR_PROXY_CREDENTIALS)),
            status => (status, None),
        }
    }

    /// B's leg broke off without a final response.
    pub fn broke_off() -> Missed {
        Missed {
            cause: 500,
            ours: true,
            sentence: "The callee's leg ended without a response".into(),
            why: Some(Why::Offline),
            said: Said::default(),
            warning: None,
        }
    }

    /// B answered, but with nothing that A could be connected to.
    pub fn nothing_in_common(why: &str) -> Missed {
        Missed {
            cause: 488,
            ours: true,
            sentence: format!("The callee answered with nothing to connect ({why})"),
            why: Some(Why::Offline),
            said: Said::default(),
            warning: None,
        }
    }

    /// B has none of A's codecs, and there is no way to make what it has.
    pub fn no_codec(why: &str) -> Missed {
        Missed {
            cause: 488,
            ours: true,
            sentence: format!("The callee accepted none of the caller's codecs ({why})"),
            why: Some(Why::Offline),
            said: Said::default(),
            warning: Some(Warning::new(WarnCode::MediaFormat, why)),
        }
    }

    /// No ports for B's leg.
    pub fn no_ports(why: &str) -> Missed {
        Missed {
            cause: 503,
            ours: true,
            sentence: format!("There were no media ports for the callee ({why})"),
            why: Some(Why::Offline),
            said: Said::default(),
            warning: None,
        }
    }

    /// The stored target cannot be called.
    pub fn bad_target(target: &str) -> Missed {
        Missed {
            cause: 404,
            ours: true,
            sentence: format!("The callee's target {target} is no SIP address"),
            why: Some(Why::Offline),
            said: Said::default(),
            warning: None,
        }
    }

    /// The callee is called where it is registered, and is not.
    pub fn unregistered() -> Missed {
        Missed {
            cause: 480,
            ours: true,
            sentence: "The callee is registered nowhere".into(),
            why: Some(Why::Offline),
            said: Said::default(),
            warning: None,
        }
    }

    /// Where the callee has callers sent, calls of theirs do not go.
    pub fn barred(plan: &Plan) -> Missed {
        let target = plan.barred.first().map_or("", String::as_str);
        let place = plan
            .decided
            .first_place
            .filter(|place| plan.decided.barred.contains(place));
        let who = match place {
            Some(place) => format!("Rule {place} of the callee's forwards to {target}"),
            None => format!("The callee is reached at {target}"),
        };
        Missed {
            cause: 403,
            ours: true,
            sentence: format!("{who}, {BARRED}"),
            why: Some(Why::Offline),
            said: Said::default(),
            warning: None,
        }
    }

    /// The callee is in as many calls as it takes at once.
    pub fn engaged(calls: u32) -> Missed {
        let calls = match calls {
            1 => "a call".to_owned(),
            more => format!("{more} calls"),
        };
        Missed {
            cause: 486,
            ours: true,
            sentence: format!("The callee was in {calls} already, and takes no more"),
            why: Some(Why::Busy),
            said: Said::default(),
            warning: None,
        }
    }

    /// A target of several rang as long as it may.
    pub fn rang_out() -> Missed {
        Missed {
            cause: 408,
            ours: true,
            sentence: "The callee did not answer".into(),
            why: Some(Why::NoAnswer),
            said: Said::default(),
            warning: None,
        }
    }

    /// Another server has tried the callee, and says why it sends the caller on (RFC 4458 §2.2).
    pub fn sent_on(cause: Option<u16>) -> Missed {
        let what = match cause {
            Some(486) => "since the callee was busy",
            Some(408) => "since the callee did not answer",
            Some(302) | None => "whatever the callee does",
            Some(480 | 487) => "since the callee declined",
            Some(404 | 503) => "since the callee was not available",
            Some(_) => "for a reason of its own",
        };
        let said = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        Missed {
            cause: cause.unwrap_or(302),
            ours: false,
            why: match cause {
                Some(486) => Some(Why::Busy),
                Some(408) => Some(Why::NoAnswer),
                Some(302) | None => None,
                Some(480 | 487) => Some(Why::Declined),
                Some(_) => Some(Why::Offline),
            },
            said: Said::default(),
            warning: None,
            sentence: format!("Another server sent the caller to the mailbox, {what}{said}"),
        }
    }

    /// The callee is not called at all: for this reason, or since a rule of theirs says so.
    pub fn not_called(why: Option<Why>) -> Missed {
        let sentence = match why {
            Some(Why::Dnd) => "The callee wants not to be disturbed",
            Some(Why::OutOfHours) => "It was outside the callee's hours",
            Some(_) => "The callee was not registered",
            None => "A rule of the callee's sends the caller to the greeting",
        };
        Missed {
            cause: 480,
            ours: true,
            sentence: sentence.into(),
            why: None,
            said: Said::default(),
            warning: None,
        }
    }

    /// Whether no target of the callee is to be tried any more: somebody there has spoken for all (RFC 3261 §16.7 step 5).
    pub fn is_for_all(&self) -> bool {
        !self.ours && self.cause >= 600
    }

    /// Of what two targets said, what the caller is told: 6xx before all, then the lowest class, there the statuses that say how
    /// to call in another way (RFC 3261 §16.7 step 6), and what a peer said before what we say in its place.
    pub fn or_better(self, other: Missed) -> Missed {
        if other.rank() < self.rank() { other } else { self }
    }

    fn rank(&self) -> (u16, bool, bool, bool) {
        let class = if self.cause >= 600 { 0 } else { self.cause / 100 };
        let helps = matches!(self.cause, 415 | 420 | 484);
        // A challenge helps nobody but us (§16.7 step 7 is for who passes credentials on): anything else says more.
        let asks = matches!(self.cause, 401 | 407);
        (class, !helps, asks, self.ours)
    }

    /// The sentence for the best of what several targets said.
    pub fn of(mut self, targets: usize) -> Missed {
        if targets > 1 {
            self.sentence
                .push_str(&format!(", the best that {targets} targets said"));
        }
        self
    }

    /// The call went in a circle, or split too often, further on: nothing that a greeting would mend, and whoever runs the
    /// servers must hear of it.
    pub fn is_a_loop(&self) -> bool {
        matches!(self.cause, 440 | 482 | 483)
    }

    /// The status for a caller who can be offered no mailbox. Our own 503 would mean that this node is overloaded.
    pub fn status_for_a(&self) -> u16 {
        match self.cause {
            300..=399 | 503 => 480,
            401 | 407 => 403,
            status => status,
        }
    }
}

/// Milliseconds as a person says them: `20 s`, `12.3 s`.
pub(crate) fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        format!("{} s", ms / 1000)
    } else {
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    }
}
