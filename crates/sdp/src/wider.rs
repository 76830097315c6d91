//! The offer to a callee that has refused what a caller was answered: that once more, and what else there is.
#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use crate::{
    Codec, Description, Direction, ForeignFormat, Format, Kind, fmtp,
    offer::{asked_feedback, described},
    precondition::Preconditions,
    side::{Agreed, Side},
    write::LiveLine,
};

impl Description {
    /// Whether AMR or AMR-WB is among what it says.
    pub fn has_amr(&self) -> bool {
        let mut formats = self.lines.iter().flat_map(|line| &line.formats);
        formats.any(|format| matches!(format.codec, Codec::Amr(_)))
    }

    /// How its sender calls a codec, in the first m-line of that kind that could be used; `None`: it does not have it.
    pub fn format(&self, kind: Kind, codec: Codec) -> Option<&Format> {
        let mut lines = self
            .lines
            .iter()
            .filter(|line| line.kind() == Some(kind) && line.could_be_relayed());
        lines
            .next()?
            .formats
            .iter()
            .find(|format| format.codec.is_same_kind(codec))
    }
}

impl Side {
    /// Our offer to a callee that refused what a caller was answered (`like`), or who was answered nothing yet: that first, then what else the caller offers (`theirs`)
    /// in its order, then what can be made of the caller's (`made`), each codec once. The answer settles on the first of these
    /// that it has. `None`: there is nothing more than what was refused.
    pub fn offer_wider(&mut self, like: &Agreed, theirs: Option<&Description>, made: &[Codec]) -> Option<Arc<[u8]>> {
        let mut has_more = false;
        let mut lines = Vec::new();
        for stream in like.streams() {
            let first = LiveLine::like(stream, Direction::SendRecv, None);
            if first.codec.is_foreign() {
                lines.push(first);
                continue;
            }
            let mut choice = Choice::default();
            choice.add(first.codec, first.payload_type, first.fmtp.clone());
            let mut of_kind = theirs.into_iter().flat_map(|theirs| &theirs.lines);
            let line = of_kind.find(|line| line.kind() == Some(stream.kind) && line.could_be_relayed());
            for format in line.into_iter().flat_map(|line| &line.formats) {
                let fmtp = match format.codec {
                    Codec::H264 { .. } => described(format.codec).fmtp,
                    codec => fmtp::carried_on(codec, format.fmtp.as_deref()),
                };
                choice.add(format.codec, format.payload_type, fmtp);
            }
            let is_of_kind = |codec: &&Codec| codec.has_key_frames() == (stream.kind == Kind::Video);
            for codec in made.iter().filter(is_of_kind) {
                let ForeignFormat { payload_type, fmtp, .. } = described(*codec);
                choice.add(*codec, payload_type, fmtp);
            }
            if choice.codecs.len() < 2 {
                lines.push(first);
                continue;
            }
            has_more = true;
            if stream.kind == Kind::Audio {
                let number = first.telephone_event.map_or(101, |event| event.payload_type);
                choice.add_events(number);
            }
            lines.push(LiveLine {
                formats: choice.formats,
                our_order: true,
                other: None,
                telephone_event: None,
                fmtp: None,
                feedback: match stream.kind {
                    Kind::Audio => Vec::new(),
                    Kind::Video => asked_feedback(),
                },
                preconditions: Preconditions::default(),
                ..first
            });
        }
        has_more.then(|| self.offer_lines(lines))
    }
}

/// The formats of one m-line, each under a number of its own.
#[derive(Default)]
struct Choice {
    codecs: Vec<Codec>,
    formats: Vec<ForeignFormat>,
}

impl Choice {
    fn add(&mut self, codec: Codec, number: u8, fmtp: Option<String>) {
        if self.codecs.iter().any(|known| known.is_same_kind(codec)) {
            return;
        }
        let is_static = number < 96;
        let Some(payload_type) = Some(number).filter(|_| is_static).or_else(|| self.free(number)) else {
            return;
        };
        self.codecs.push(codec);
        self.formats.push(ForeignFormat {
            payload_type,
            rtpmap: described(codec).rtpmap,
            fmtp,
        });
    }

    /// Key presses, in the clock of each codec; at 8000 Hz for phones that know no other.
    fn add_events(&mut self, number: u8) {
        let mut clocks = vec![8_000];
        for clock in self.codecs.iter().map(|codec| codec.clock_rate()) {
            if !clocks.contains(&clock) {
                clocks.push(clock);
            }
        }
        for clock in clocks {
            let Some(payload_type) = self.free(number) else { return };
            self.formats.push(ForeignFormat {
                payload_type,
                rtpmap: Some(format!("telephone-event/{clock}")),
                fmtp: Some("0-15".into()),
            });
        }
    }

    /// This number, or the next dynamic one that nothing here has.
    fn free(&self, number: u8) -> Option<u8> {
        let used = |pt: &u8| self.formats.iter().any(|format| format.payload_type == *pt);
        let wanted = Some(number).filter(|pt| (96..128).contains(pt));
        wanted.into_iter().chain(102..128).chain(96..102).find(|pt| !used(pt))
    }
}
