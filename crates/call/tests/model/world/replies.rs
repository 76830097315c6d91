//! The replies that packet path and store owe.

use segue_call::{Input, MediaEvent, Ports, StoreReply};
use segue_mailbox::Rule;
use segue_sdp::Kind;

use super::World;
use crate::reference::Recorder;

impl World {
    /// The packet path or the store gives a reply that it owes.
    pub(super) fn someone_replies(&mut self) {
        if self.reference.looking_up {
            self.reference.looking_up = false;
            let reply = self.lookup.clone();
            return self.input(Input::Store(reply));
        }
        if self.chance(2)
            && let Some((mailbox, message_id)) = self.reference.asked_for_place()
        {
            let reply = match self.below(6) {
                0 => StoreReply::MailboxFull { rule: Rule::UnheardMax },
                1 => StoreReply::ReserveFailed { why: "locked".into() },
                n => StoreReply::Reserved {
                    mailbox,
                    message_id,
                    longest_ms: [5_000, 1_000_000][n % 2],
                    longest_bytes: (n > 3).then_some(50_000),
                },
            };
            self.reference.place_replied(&reply);
            return self.input(Input::Store(reply));
        }
        // It is said before what is asked for later.
        if std::mem::take(&mut self.reference.transcoder_owed) && !self.reference.closed {
            self.reference.transcoding = !self.chance(4);
            return self.input(Input::Media(match self.reference.transcoding {
                true => MediaEvent::Transcoding { kind: Kind::Audio },
                false => MediaEvent::NoTranscoder {
                    kind: Kind::Audio,
                    why: "no room".into(),
                },
            }));
        }
        if self.reference.transcoding && !self.reference.closed && self.chance(12) {
            (self.reference.transcoding, self.reference.transcoder_was_lost) = (false, true);
            return self.input(Input::Media(MediaEvent::TranscoderLost { kind: Kind::Audio }));
        }
        if std::mem::take(&mut self.reference.picture_maker_owed) && !self.reference.closed {
            self.reference.making_pictures = !self.chance(4);
            return self.input(Input::Media(match self.reference.making_pictures {
                true => MediaEvent::Transcoding { kind: Kind::Video },
                false => MediaEvent::NoTranscoder {
                    kind: Kind::Video,
                    why: "no room".into(),
                },
            }));
        }
        if self.reference.making_pictures && !self.reference.closed && self.chance(12) {
            self.reference.making_pictures = false;
            return self.input(Input::Media(MediaEvent::TranscoderLost { kind: Kind::Video }));
        }
        if let Some(leg) = self.reference.opening.pop() {
            if self.chance(30) {
                return self.input(Input::Media(MediaEvent::OpenFailed {
                    leg,
                    why: "none free".into(),
                }));
            }
            self.reference.ports.push(leg);
            let audio = 30_000 + u16::try_from(leg.0).unwrap() * 4;
            let ports = Ports {
                address: "10.0.0.9".parse().unwrap(),
                audio,
                video: audio + 2,
            };
            return self.input(Input::Media(MediaEvent::Opened { leg, ports }));
        }
        if self.reference.recorder == Recorder::Stopping && !self.reference.closed {
            if self.chance(20) {
                self.reference.recorder = Recorder::Off;
                return self.input(Input::Media(MediaEvent::RecordFailed {
                    why: "disk full".into(),
                }));
            }
            self.reference.recorder = Recorder::Off;
            let take = self.reference.take.clone();
            self.reference.kept.insert(take);
            let duration_ms = [400, 1_000, 12_345][self.below(3)];
            return self.input(Input::Media(MediaEvent::Recorded { duration_ms }));
        }
        if self.chance(2)
            && let Some(message_id) = self.reference.previewing.take()
        {
            let reply = match self.chance(4) {
                true => StoreReply::PreviewFailed {
                    message_id,
                    why: "no worker".into(),
                },
                false => StoreReply::Previewed {
                    message_id,
                    clip: super::clip(-1, 2_000),
                },
            };
            return self.input(Input::Store(reply));
        }
        if self.chance(2)
            && let Some(turn) = self.reference.saying.take().filter(|_| !self.reference.closed)
        {
            let event = match self.chance(8) {
                true => MediaEvent::SayFailed {
                    turn,
                    why: "no prompt".into(),
                },
                false => MediaEvent::Said { turn },
            };
            return self.input(Input::Media(event));
        }
        if self.reference.depositing {
            self.reference.depositing = false;
            if self.chance(20) {
                return self.input(Input::Store(StoreReply::DepositFailed {
                    why: "disk full".into(),
                }));
            }
            self.reference.deposited = true;
            return self.input(Input::Store(StoreReply::Deposited {
                message_id: "01M".into(),
            }));
        }
        if let Some((source, looping)) = self.reference.playing.filter(|_| !self.reference.closed) {
            if self.reference.first_packet_owed {
                self.reference.first_packet_owed = false;
                if looping {
                    self.held_since = Some(self.now_ms);
                }
                self.input(Input::Media(MediaEvent::FirstPacket { source }));
            } else if !looping {
                self.reference.playing = None;
                self.input(Input::Media(MediaEvent::Played { source }));
            }
        }
    }
}
