//! What may come from the packet path, by chance, and what cannot come from anybody.

use segue_call::{Input, LegEvent, LegId, MediaEvent, Ports, Source, StoreReply};
use segue_mailbox::{Rule, StopCause};
use segue_sdp::Kind;

use super::World;
use crate::reference::{A, Recorder};

impl World {
    /// The packet path says what it may at any time while it is open.
    pub(super) fn media_says_something(&mut self) {
        if self.reference.closed || !self.reference.ports.contains(&A) {
            return;
        }
        let event = match self.below(9) {
            0 | 1 => MediaEvent::Dtmf {
                leg: A,
                key: ['#', '#', '*', '*', '7', '1', '2', '3', '9'][self.below(9)],
            },
            2 => MediaEvent::Dtmf {
                leg: self.a_branch(),
                key: '#',
            },
            3 if self.chance(10) => MediaEvent::RtpGone {
                leg: if self.chance(2) { A } else { self.a_branch() },
            },
            4 => MediaEvent::Switched {
                to: Source::Callee,
                kind: Kind::Video,
                gap_ms: Some(40),
            },
            5 => MediaEvent::KeyFrameWanted {
                leg: if self.chance(2) { A } else { self.a_branch() },
            },
            6 if self.reference.recorder == Recorder::Running => MediaEvent::RecordingStopped {
                cause: StopCause::Longest,
            },
            7 if self.reference.recorder == Recorder::Running && self.chance(10) => {
                self.reference.recorder = Recorder::Off;
                MediaEvent::RecordFailed { why: "no space".into() }
            }
            8 if self.chance(6) => match self.reference.playing {
                Some((source, _)) => {
                    self.reference.playing = None;
                    MediaEvent::PlayFailed {
                        source,
                        why: "gone".into(),
                    }
                }
                None => return,
            },
            _ => return,
        };
        let cuts = matches!(
            event,
            MediaEvent::Dtmf { leg: A, key: '#' }
                | MediaEvent::PlayFailed {
                    source: Source::Clip | Source::Greeting,
                    ..
                }
        );
        self.hold_cut |= cuts;
        if matches!(event, MediaEvent::Dtmf { leg: A, key: '*' }) {
            self.presses_star();
        }
        self.input(Input::Media(event));
    }

    /// What cannot be now.
    pub(super) fn impossible(&mut self) {
        match self.below(6) {
            0 => self.input(Input::Timeout),
            1 => {
                let event = self.any_leg_event(false);
                self.input(Input::Leg(LegId(40), event));
            }
            2 | 3 => {
                let leg = if self.chance(2) { A } else { self.a_branch() };
                let event = self.any_leg_event(false);
                if !self.reference.is_possible(leg, &event) && !matches!(event, LegEvent::Offer { .. }) {
                    self.input(Input::Leg(leg, event));
                }
            }
            4 => {
                let leg = LegId(40);
                let ports = Ports {
                    address: "10.0.0.9".parse().unwrap(),
                    audio: 1,
                    video: 3,
                };
                self.input(Input::Media(MediaEvent::Opened { leg, ports }));
                if self.reference.recorder == Recorder::Off {
                    self.input(Input::Media(MediaEvent::Recorded { duration_ms: 5_000 }));
                    self.input(Input::Media(MediaEvent::RecordingStopped {
                        cause: StopCause::Silence,
                    }));
                }
            }
            _ if !self.reference.depositing => {
                self.input(Input::Store(StoreReply::Deposited {
                    message_id: "never asked".into(),
                }));
                self.input(Input::Store(StoreReply::DepositFailed {
                    why: "never asked".into(),
                }));
                if self.reference.asked_for_place().is_none() {
                    self.input(Input::Store(StoreReply::MailboxFull { rule: Rule::MaxBytes }));
                }
            }
            _ => {}
        }
    }
}
