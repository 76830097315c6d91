//! What a leg may say at any time.

use std::sync::Arc;

use segue_call::{Contact, Early, LegEvent, Said};
use segue_sdp::Direction;

use super::{AUDIO, FOREIGN, OPUS, VIDEO, VP8, World, sdp};

impl World {
    pub(super) fn fork(&mut self) -> Option<Arc<str>> {
        let tags = [None, Some("one"), Some("two")];
        tags[self.below(3)].map(Arc::from)
    }

    pub(super) fn early_media(&mut self) -> Option<Vec<Direction>> {
        let all = [Direction::SendRecv, Direction::SendOnly, Direction::Inactive];
        let asked = (0..self.below(3)).map(|_| all[self.below(3)]).collect();
        self.chance(2).then_some(asked)
    }

    pub(super) fn any_leg_event(&mut self, usable: bool) -> LegEvent {
        let offer = match self.below(6) {
            0 if !usable => None,
            0 => Some(sdp("m=audio 0 RTP/AVP 0\r\n")),
            1 => Some(sdp(&format!("{AUDIO}a=inactive\r\n"))),
            2 => Some((*b"nonsense").into()),
            3 => Some(sdp(AUDIO)),
            4 => Some(sdp(&format!("{OPUS}{VP8}"))),
            _ => Some(sdp(&format!("{AUDIO}{VIDEO}"))),
        };
        match self.below(24) {
            21 => LegEvent::EarlyMedia {
                fork: self.fork().unwrap_or_else(|| "one".into()),
                early_media: self.early_media().unwrap_or_default(),
            },
            19 => LegEvent::OfferRefused {
                status: [405, 488, 491, 500][self.below(4)],
            },
            20 => LegEvent::OfferWithdrawn,
            0 | 1 => LegEvent::Prack,
            2 => LegEvent::PrackTimeout,
            3 => LegEvent::Cancelled { reason: None },
            4 => LegEvent::Acked,
            5 => LegEvent::AckTimeout,
            6 => LegEvent::Bye {
                reason: Some("Q.850;cause=16".into()),
            },
            7 => LegEvent::Offer {
                sdp: offer,
                fork: self.fork(),
            },
            8 => LegEvent::OfferAnswered { sdp: offer },
            9 => LegEvent::Provisional(Early {
                status: [180, 181, 183, 199][self.below(4)],
                fork: self.fork(),
                sdp: offer,
                early_media: self.early_media(),
                has_more: self.chance(3),
            }),
            10 => LegEvent::Answered {
                sdp: Some(sdp(&match self.below(6) {
                    0 | 1 => format!("{OPUS}{VP8}"),
                    2 => format!("m=audio 4000 RTP/AVP 8\r\n{VIDEO}"),
                    _ => format!("{AUDIO}{VIDEO}"),
                })),
                fork: self.fork(),
            },
            11 if self.chance(3) => LegEvent::Answered {
                sdp: Some(sdp(FOREIGN)),
                fork: self.fork(),
            },
            11 => LegEvent::Answered {
                sdp: offer,
                fork: self.fork(),
            },
            12 => LegEvent::Failed {
                status: [302, 404, 408, 486, 488, 488, 503, 603, 606][self.below(9)],
                phrase: "No".into(),
                local: false,
                said: Said::default(),
            },
            13 => LegEvent::Failed {
                status: 503,
                phrase: "Service Unavailable".into(),
                local: true,
                said: Said::default(),
            },
            14 => {
                let contacts = (0..self.below(4))
                    .map(|_| Contact {
                        uri: format!("sip:bob@10.0.0.{}", 2 + self.below(12)).parse().unwrap(),
                        q: [0, 500, 1_000][self.below(3)],
                    })
                    .collect();
                LegEvent::Redirected {
                    status: 302,
                    phrase: "Moved".into(),
                    contacts,
                    said: Said::default(),
                }
            }
            15 => LegEvent::CrossedCancel,
            22 => LegEvent::Asked { ask: 1 },
            23 => LegEvent::Refreshed,
            16 | 17 => LegEvent::Key {
                key: if self.chance(3) { '#' } else { '*' },
                duration_ms: 100,
            },
            _ => LegEvent::Terminated,
        }
    }
}
