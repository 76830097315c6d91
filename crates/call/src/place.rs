//! The place of A's message in the callee's mailbox. It is asked for when the mailbox takes the call, before the greeting, so that
//! nobody listens to a greeting in order to hear that there is no room; it is given back unless a message comes of it.
//!
//! A message is never lost to this: where the store cannot say in time whether there is room, the caller may speak.

use std::time::Instant;

use segue_mailbox::Ask;
use segue_sdp::Agreed;

use crate::{
    cx::Cx,
    io::{StoreAction, StoreReply},
    legs::Seen,
};

/// The store has this long to say whether there is room.
const ASKED_MS_MAX: u64 = 2_000;

/// What a second of a video message with its sound is taken to need at most, bytes: 4 Mbit/s. At 640x360 softphones send 0.5 to 2,
/// at 1280x720 up to 3. Nothing negotiated says it: `b=` of an offer is what A would receive (RFC 8866 §5.8), and what the level
/// of H.264 allows is 14 Mbit/s at 3.1.
const VIDEO_BYTES_PER_S: u64 = 500_000;
/// The same of a voice message: G.711 and G.722 with RTP's headers in packets of 10 ms, Opus at 128 kbit/s.
const AUDIO_BYTES_PER_S: u64 = 20_000;

/// The place, if it has been asked for.
#[derive(Debug, Default)]
pub(crate) struct Place {
    ids: Option<Ids>,
    state: State,
}

#[derive(Debug, Clone)]
struct Ids {
    mailbox: String,
    message_id: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    NotAsked,
    Asked,
    Held(Room),
    /// Nothing is to be given back: refused, given back, or the message's own.
    Settled,
    /// To be given back as soon as it is given: a release must not overtake what it releases.
    Unwanted,
}

/// How much may be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub longest_ms: u64,
    /// `None`: no rule counts bytes.
    pub longest_bytes: Option<u64>,
}

impl Cx {
    /// Ask for a place, once. From the moment that is given back on the caller is let through without an answer.
    pub fn ask_for_place(&mut self, mailbox: &str) -> Instant {
        let message_id = self.ids.ulid(self.now.wall);
        self.place = Place {
            ids: Some(Ids {
                mailbox: mailbox.to_owned(),
                message_id: message_id.clone(),
            }),
            state: State::Asked,
        };
        let ask = Ask {
            longest_ms: self.config.record_max_ms,
            least_ms: self.config.record_min_ms,
            bytes_per_s: bytes_per_s(self.a.answer()),
        };
        self.store(StoreAction::Reserve {
            message_id,
            mailbox: mailbox.to_owned(),
            from: self.record.from.clone(),
            ask,
        });
        self.in_ms(ASKED_MS_MAX)
    }

    /// Whether a place has been asked for.
    pub fn has_asked_for_place(&self) -> bool {
        self.place.state != State::NotAsked
    }

    /// What the store says of places is settled here, whatever the phase.
    pub fn store_first(&mut self, reply: StoreReply) -> Option<Seen> {
        match (self.place.state, reply) {
            (
                State::Asked,
                StoreReply::Reserved {
                    longest_ms,
                    longest_bytes,
                    ..
                },
            ) => {
                self.place.state = State::Held(Room {
                    longest_ms,
                    longest_bytes,
                });
                Some(Seen::MayRecord)
            }
            (State::Asked, StoreReply::ReserveFailed { .. }) => {
                self.place.state = State::Settled;
                Some(Seen::MayRecord)
            }
            (State::Asked, StoreReply::MailboxFull { rule }) => {
                self.place.state = State::Settled;
                Some(Seen::MailboxFull { rule })
            }
            (
                State::Unwanted,
                StoreReply::Reserved {
                    mailbox, message_id, ..
                },
            ) => {
                self.place.state = State::Settled;
                self.store(StoreAction::Release { mailbox, message_id });
                None
            }
            (_, StoreReply::Reserved { .. } | StoreReply::ReserveFailed { .. } | StoreReply::MailboxFull { .. }) => {
                None
            }
            (_, reply) => Some(Seen::Store(reply)),
        }
    }

    /// The id of the message that is recorded now, and how much of it there may be. What is recorded again (`takes` before) has an id of
    /// its own, and the place of the first.
    pub fn take_place(&mut self, takes: u8) -> (String, Room) {
        let room = match self.place.state {
            State::Held(room) => Room {
                longest_ms: room.longest_ms.min(self.config.record_max_ms),
                ..room
            },
            _ => Room {
                longest_ms: self.config.record_max_ms,
                longest_bytes: None,
            },
        };
        let ids = self.place.ids.as_ref().filter(|_| takes == 0);
        let asked = ids.map(|ids| ids.message_id.clone());
        (asked.unwrap_or_else(|| self.ids.ulid(self.now.wall)), room)
    }

    /// The place is the recording's now: whoever makes that a message gives it back.
    pub fn leave_place(&mut self) {
        self.place.state = match self.place.state {
            State::Asked | State::Unwanted => State::Unwanted,
            State::NotAsked | State::Held(_) | State::Settled => State::Settled,
        };
    }

    /// The place is this message's now. One that was recorded again is stored under another id than the place has, which is given back.
    pub fn leave_place_to(&mut self, message_id: &str) {
        let is_its_own = self.place.ids.as_ref().is_none_or(|ids| ids.message_id == message_id);
        if is_its_own {
            self.leave_place();
        } else {
            self.give_back_place();
        }
    }

    /// No message comes.
    pub fn give_back_place(&mut self) {
        let held = matches!(self.place.state, State::Held(_));
        self.leave_place();
        if let Some(Ids { mailbox, message_id }) = self.place.ids.take().filter(|_| held) {
            self.store(StoreAction::Release { mailbox, message_id });
        }
    }
}

/// What A sends, by the second.
fn bytes_per_s(answer: Option<&Agreed>) -> u64 {
    let video = answer.and_then(|answer| answer.video.as_ref());
    if video.is_some_and(|video| video.direction.receives()) {
        VIDEO_BYTES_PER_S
    } else {
        AUDIO_BYTES_PER_S
    }
}
