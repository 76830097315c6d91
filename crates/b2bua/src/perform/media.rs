//! What calls have the packet path do.

use std::time::Duration;

use segue_call::{MediaAction, MediaEvent, Operator, Towards};
use segue_media::{Command, LegKey};

use super::{Performer, now};
use crate::{
    CallKey,
    packet_path::{
        behind_nat_command, play_command, play_from_command, poster_command, record_command, rules_command, say_command,
    },
};

impl Performer {
    /// Has the packet path do what a call decided.
    pub(super) fn media(&mut self, key: CallKey, action: MediaAction) {
        let failed = match action {
            MediaAction::Open { leg, towards } => {
                let family = match towards {
                    Towards::Family(family) => Some(family),
                    Towards::Target(_) => None,
                };
                let event = match self.media.open(key.0, LegKey(leg.0), family) {
                    Ok(ports) => {
                        self.tallies.open(key);
                        MediaEvent::Opened {
                            leg,
                            ports: segue_call::Ports {
                                address: ports.address,
                                audio: ports.audio,
                                video: ports.video,
                            },
                        }
                    }
                    Err(error) => MediaEvent::OpenFailed {
                        leg,
                        why: error.to_string(),
                    },
                };
                return self.shard.handle_media(now(), key, event);
            }
            MediaAction::Play { source, clip, looping } => {
                match play_command(source, &clip, looping, self.playing.get(&key)) {
                    Ok(command) => self
                        .command(key, command)
                        .map(|why| MediaEvent::PlayFailed { source, why }),
                    Err(why) => Some(MediaEvent::PlayFailed { source, why }),
                }
            }
            MediaAction::PlayFrom { source, clip, from_ms } => {
                match play_from_command(source, &clip, from_ms, self.playing.get(&key)) {
                    Ok(command) => self
                        .command(key, command)
                        .map(|why| MediaEvent::PlayFailed { source, why }),
                    Err(why) => Some(MediaEvent::PlayFailed { source, why }),
                }
            }
            MediaAction::Say {
                turn,
                language,
                prompts,
                picture,
                audio,
                video,
            } => {
                let set = self.prompts.of(language);
                let said = say_command(turn, set.as_deref(), (&prompts, picture), (audio, video));
                let refused = match said {
                    Ok(command) => self.command(key, command),
                    Err(why) => {
                        tracing::error!(call = key.0, %language, why, "a caller was not told something; see `segue doctor`");
                        Some(why)
                    }
                };
                refused.map(|why| MediaEvent::SayFailed { turn, why })
            }
            MediaAction::Record {
                manifest,
                longest_ms,
                longest_bytes,
                silence_ms,
            } => {
                let recorded = record_command(&self.spool_dir, &manifest, (longest_ms, longest_bytes), silence_ms);
                match recorded {
                    Ok(command) => self.command(key, command).map(|why| MediaEvent::RecordFailed { why }),
                    Err(why) => Some(MediaEvent::RecordFailed { why }),
                }
            }
            MediaAction::StopRecording { cause } => self
                .command(
                    key,
                    Command::StopRecording {
                        cause: cause.as_str().to_owned(),
                    },
                )
                .map(|why| MediaEvent::RecordFailed { why }),
            MediaAction::Configure { leg, audio, video } => {
                let refused = self.command(
                    key,
                    Command::Configure {
                        leg: LegKey(leg.0),
                        audio,
                        video,
                    },
                );
                return self.end_if(key, refused);
            }
            MediaAction::Poster { clip } => {
                match poster_command(&clip, self.playing.get(&key)) {
                    Ok(command) => drop(self.command(key, command)),
                    Err(why) => tracing::warn!(call = key.0, why, "there is no picture to stand in"),
                }
                return;
            }
            MediaAction::Rules {
                rtp_gone_ms,
                media_from,
                source,
            } => {
                let refused = self.command(key, rules_command(rtp_gone_ms, media_from, source));
                return self.end_if(key, refused);
            }
            MediaAction::BehindNat { leg, source } => {
                let refused = self.command(key, behind_nat_command(leg, source));
                return self.end_if(key, refused);
            }
            MediaAction::Bridge { leg } | MediaAction::Hear { leg } => {
                let refused = self.command(key, Command::Bridge { leg: LegKey(leg.0) });
                return self.end_if(key, refused);
            }
            MediaAction::TellKey {
                leg,
                key: digit,
                duration_ms,
            } => {
                let (leg, length) = (LegKey(leg.0), Duration::from_millis(duration_ms));
                self.command(
                    key,
                    Command::TellKey {
                        leg,
                        key: digit,
                        length,
                    },
                );
                return;
            }
            MediaAction::Transcode { kind } => return self.transcode(key, kind),
            MediaAction::EndTranscode { kind } => return self.end_transcode(key, kind),
            MediaAction::CloseLeg { leg } => {
                self.command(key, Command::CloseLeg { leg: LegKey(leg.0) });
                return;
            }
            MediaAction::Close => {
                self.playing.remove(&key);
                self.transcoders.remove(&key);
                self.command(key, Command::Close);
                return;
            }
        };
        if let Some(event) = failed {
            self.shard.handle_media(now(), key, event);
        }
    }

    /// Gives a command to the packet path; why it was refused, if it was.
    pub(super) fn command(&self, key: CallKey, command: Command) -> Option<String> {
        let error = self.media.command(key.0, command).err()?;
        tracing::error!(call = key.0, %error, "the packet path refused a command");
        Some(error.to_string())
    }

    /// A call whose packet path cannot be told what was negotiated is ended.
    fn end_if(&mut self, key: CallKey, refused: Option<String>) {
        if refused.is_some() {
            self.shard.handle_operator(now(), key, Operator::HangUp);
        }
    }
}
