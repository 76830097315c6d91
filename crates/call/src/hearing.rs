//! Early media: what a callee sends before it answers is let through to an A who is played nothing, where the callee may do so; and A
//! is told what may flow (RFC 5009).

use segue_sdp::{Direction, Kind, Stream};

use crate::{
    caller::MediaMay,
    cx::Cx,
    io::{LegId, MediaAction},
    legs::Leg,
};

/// How often A is told of a change of what may flow.
const CHANGES_MAX: u8 = 8;

/// The callee whom A hears before the answer.
#[derive(Debug)]
pub(crate) struct Hearing {
    leg: LegId,
    /// What may flow on the audio and the video stream, as we see it on the callee's leg.
    allowed: [Direction; 2],
    /// What was agreed with its phone: another of its phones, or an UPDATE, may bring another.
    streams: [Option<Stream>; 2],
    /// A's answer is out reliably: its PRACK is awaited.
    pracking: bool,
}

fn lets_hear(allowed: [Direction; 2]) -> bool {
    allowed.iter().any(|direction| direction.receives())
}

impl Cx {
    /// What callees ask to be let through, or who is there, may have changed. Who calls from its mailbox is answered already, and what it
    /// is played meanwhile stops for that.
    pub fn hear_callees(&mut self) {
        let is_early = !self.plays && self.legs.a == Leg::Inviting;
        if !is_early && self.away.is_none() || self.a.answer().is_none() {
            return;
        }
        let now = self.hearing.as_ref().map(|hearing| (hearing.leg, hearing.allowed));
        let rings = |cx: &Cx, leg: LegId| cx.legs.b.get(leg).is_some_and(|branch| branch.leg == Leg::Inviting);
        let of = |cx: &Cx, leg: LegId| cx.early_media_of(leg).filter(|_| rings(cx, leg));
        let heard = now.and_then(|(leg, _)| Some((leg, of(self, leg)?)));
        let audible = |early: &crate::early::EarlyMedia| lets_hear(early.allowed);
        let next = match heard {
            // Who is heard stays heard for as long as it may be.
            Some((leg, early)) if audible(&early) => Some((leg, early)),
            heard => {
                let others = self.legs.b.legs().filter_map(|leg| Some((leg, of(self, leg)?)));
                let mut others = others.filter(|(_, early)| audible(early));
                others.next().or(heard)
            }
        };
        let Some((leg, early)) = next else {
            self.hearing = None;
            return;
        };
        if now.is_none() && !audible(&early) {
            return;
        }
        let streams = [early.agreed.audio.clone(), early.agreed.video.clone()];
        if let Some(hearing) = self.hearing.as_mut().filter(|_| now == Some((leg, early.allowed))) {
            if hearing.streams != streams {
                hearing.streams = streams;
                self.let_hear(Some(leg));
            }
            return;
        }
        let pracking = self.hearing.as_ref().is_some_and(|hearing| hearing.pracking);
        self.hearing = Some(Hearing {
            leg,
            allowed: early.allowed,
            streams,
            pracking,
        });
        if self.answer_is_given() {
            self.tell_early_media();
        } else {
            // No way: it is heard as far as it can be, and told when it answers.
            let _ = self.bring_caller_to(&early.agreed);
            let may = self.give_answer_early();
            if let Some(hearing) = &mut self.hearing {
                hearing.pracking = may == MediaMay::StartOnPrack;
            }
        }
        self.let_hear(now.map(|(leg, _)| leg));
    }

    /// A's PRACK for its answer is there.
    pub fn may_hear(&mut self) {
        if let Some(hearing) = &mut self.hearing
            && std::mem::take(&mut hearing.pracking)
        {
            self.let_hear(None);
        }
    }

    fn let_hear(&mut self, before: Option<LegId>) {
        let Some(Hearing {
            leg,
            allowed,
            pracking: false,
            ..
        }) = self.hearing
        else {
            return;
        };
        let Some(early) = self.early_media_of(leg) else { return };
        let gated = |stream: Option<Stream>, allowed: Direction| {
            stream.map(|stream| Stream {
                direction: stream.direction.narrowed(allowed),
                ..stream
            })
        };
        let [audio, video] = allowed;
        self.media(MediaAction::Configure {
            leg,
            audio: gated(early.agreed.audio, audio),
            video: gated(early.agreed.video, video),
        });
        if before != Some(leg) {
            self.media(MediaAction::Hear { leg });
        }
    }

    /// What A is told may flow on each m-line of its answer: what we play goes to it, its keys come to us; where it hears a callee,
    /// what that one may do. Nothing where A is not to be told, or has no answer yet.
    pub fn early_media(&self) -> Vec<Direction> {
        let (true, Some(side), true) = (self.invite.p_early_media, &self.a.side, self.answer_is_given()) else {
            return Vec::new();
        };
        let keys = self.a.answer().and_then(|answer| answer.audio.as_ref());
        let keys = keys.is_some_and(|audio| audio.dtmf_payload_type.is_some());
        let of = |line: Option<Kind>| match (line, &self.hearing) {
            (None, _) => Direction::Inactive,
            // The callee's directions are ours towards it: A sees them from the other side.
            (Some(kind), Some(hearing)) => {
                let [audio, video] = hearing.allowed;
                let callee = if kind == Kind::Audio { audio } else { video };
                callee.reversed()
            }
            (Some(Kind::Audio), None) if keys => Direction::SendRecv,
            (Some(_), None) => Direction::SendOnly,
        };
        side.live_lines().map(of).collect()
    }

    /// Tell A what may flow now, where that is another than before.
    fn tell_early_media(&mut self) {
        if self.invite.p_early_media && self.early_media_told < CHANGES_MAX {
            self.early_media_told += 1;
            self.tell_again(183);
        }
    }
}
