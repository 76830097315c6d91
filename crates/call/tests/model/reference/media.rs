//! What the packet path may be told.

use segue_call::MediaAction;
use segue_sdp::Kind;

use super::{A, Leg, Place, Recorder, Reference};

impl Reference {
    pub(super) fn media_said(&mut self, action: &MediaAction) {
        assert!(!self.closed, "{action:?} after Close");
        match action {
            MediaAction::Open { leg, .. } => {
                assert!(!self.ports.contains(leg) && !self.opening.contains(leg), "opened twice");
                if *leg != A {
                    assert_eq!(leg.0 as usize, self.tried.len() + 1, "branches are numbered in order");
                    self.tried.push(*leg);
                }
                self.opening.push(*leg);
            }
            MediaAction::Rules { .. } => {
                assert!(self.ports == [A] && self.configured.is_empty(), "rules come first");
            }
            MediaAction::Configure { leg, .. } => {
                assert!(self.ports.contains(leg), "configured without ports");
                self.configured.push(*leg);
            }
            MediaAction::Play { source, looping, .. } => {
                assert!(self.configured.contains(&A) && !self.bridged);
                assert!(!self.lacks_resources, "media before A's resources are there");
                assert!(!self.plain, "nothing is played in such a call");
                assert!(!self.answer_is_unpracked(), "media before the PRACK");
                self.saying = None;
                self.playing = Some((*source, *looping));
                self.first_packet_owed = true;
            }
            MediaAction::Say { turn, .. } => {
                self.saying = Some(*turn);
                assert!(self.configured.contains(&A) && !self.bridged);
                assert!(!self.plain, "nothing is said in such a call");
                assert!(!self.answer_is_unpracked(), "media before the PRACK");
                self.playing = None;
                self.first_packet_owed = false;
            }
            MediaAction::BehindNat { .. } => panic!("a call does not know how its callee is reached"),
            MediaAction::PlayFrom { .. } => panic!("nobody calls a service here"),
            MediaAction::Poster { clip } => {
                assert!(clip.audio.is_none() && clip.video.is_some() && !self.bridged);
            }
            MediaAction::Hear { leg } => {
                assert!(
                    self.configured.contains(&A) && self.configured.contains(leg),
                    "heard before it is configured"
                );
                assert!(!self.bridged && self.playing.is_none(), "over what we play");
                assert!(self.a == Leg::Inviting && self.leg(*leg) == Leg::Inviting);
            }
            MediaAction::Bridge { leg } => {
                assert!(self.configured.contains(&A), "bridged before A is configured");
                assert!(*leg != A && self.configured.contains(leg) && !self.bridged);
                assert!(matches!(self.a, Leg::Answered | Leg::Up) && self.leg(*leg) == Leg::Up);
                let others = self.b.iter().filter(|(other, _)| *other != leg);
                let may_be = [Leg::Cancelled, Leg::Ended, Leg::Gone];
                assert!(
                    others.clone().all(|(_, state)| may_be.contains(state)),
                    "one wins: {:?}",
                    self.b
                );
                assert!(self.ports.iter().all(|p| *p == A || p == leg), "losers keep no ports");
                self.bridged = true;
                self.playing = None;
                self.first_packet_owed = false;
            }
            MediaAction::TellKey { leg, .. } => assert!(self.bridged && self.ports.contains(leg)),
            MediaAction::Record {
                manifest,
                longest_ms,
                longest_bytes,
                ..
            } => {
                match self.place {
                    Place::Held {
                        longest_ms: ms,
                        longest_bytes: bytes,
                    } => {
                        assert!(*longest_ms <= ms, "longer than there is room for");
                        assert_eq!(*longest_bytes, bytes);
                    }
                    Place::Asked | Place::Unknown => {}
                    // Said too late: the beep had begun.
                    Place::Full => {}
                    place => panic!("recorded with a place {place:?}"),
                }
                assert_eq!(self.recorder, Recorder::Off);
                assert!(matches!(self.a, Leg::Answered | Leg::Up), "recorded without an answer");
                self.recorder = Recorder::Running;
                assert_ne!(self.take, manifest.message_id, "an id for each recording");
                self.take.clone_from(&manifest.message_id);
                self.playing = None;
            }
            MediaAction::StopRecording { .. } => {
                assert_eq!(self.recorder, Recorder::Running);
                self.recorder = Recorder::Stopping;
            }
            MediaAction::Transcode { kind: Kind::Video } => {
                assert!(self.bridged, "pictures made for nobody");
                assert!(!self.making_pictures && !self.picture_maker_owed, "one at a time");
                self.picture_maker_owed = true;
            }
            MediaAction::EndTranscode { kind: Kind::Video } => {
                assert!(
                    self.making_pictures || self.picture_maker_owed,
                    "ended what is not there"
                );
                (self.making_pictures, self.picture_maker_owed) = (false, false);
            }
            MediaAction::Transcode { kind: Kind::Audio } => {
                assert!(
                    !self.bridged || self.transcoder_was_lost,
                    "asked for with nobody to be called"
                );
                assert!(!self.transcoding && !self.transcoder_owed, "one at a time");
                self.transcoder_owed = true;
            }
            MediaAction::EndTranscode { kind: Kind::Audio } => {
                assert!(self.transcoding || self.transcoder_owed, "ended what is not there");
                (self.transcoding, self.transcoder_owed) = (false, false);
            }
            MediaAction::CloseLeg { leg } => {
                assert!(
                    *leg != A && (self.ports.contains(leg) || self.opening.contains(leg)),
                    "closed what was not open"
                );
                self.ports.retain(|l| l != leg);
                self.opening.retain(|l| l != leg);
            }
            MediaAction::Close => {
                assert!(!matches!(self.recorder, Recorder::Running), "closed while recording");
                self.closed = true;
                self.opening.clear();
                self.ports.clear();
            }
        }
    }
}
