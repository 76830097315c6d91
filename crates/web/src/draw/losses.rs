//! Packets that were lost, where they were: on the lanes of what A saw and heard, and as a table.

use std::collections::BTreeMap;

use maud::{Markup, html};
use segue_records::{CallRecord, LossRecord, MediaKind, UnixMs};

use super::after;

/// Between whom packets were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// From a callee to Segue: A did not get them either.
    FromCallee(usize),
    /// What A misses by its own reports; where a callee's packets were lost, those too.
    ToCaller,
    /// From A to Segue: neither the callee nor a message has them.
    FromCaller,
    /// The same of a callee.
    ToCallee(usize),
}

impl Way {
    fn words(self) -> String {
        match self {
            Way::FromCallee(leg) => format!("from callee {leg} to Segue"),
            Way::ToCaller => "as the caller reports".to_owned(),
            Way::FromCaller => "from the caller to Segue".to_owned(),
            Way::ToCallee(leg) => format!("as callee {leg} reports"),
        }
    }

    /// Whether A missed them.
    pub(super) fn concerns_caller(self) -> bool {
        matches!(self, Way::FromCallee(_) | Way::ToCaller)
    }
}

/// One loss of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost<'a> {
    pub kind: MediaKind,
    pub way: Way,
    pub loss: &'a LossRecord,
}

impl Lost<'_> {
    /// In one line.
    pub(super) fn told(&self, start: UnixMs) -> String {
        format!(
            "{} lost {}, {} to {}",
            packets(self.loss.packets),
            self.way.words(),
            after(start, self.loss.from),
            after(start, self.loss.until)
        )
    }
}

/// All of a call, in the order of time.
pub(super) fn all(call: &CallRecord) -> Vec<Lost<'_>> {
    let mut all: Vec<Lost<'_>> = Vec::new();
    for (leg, record) in call.legs.iter().enumerate() {
        let (from, to) = match leg {
            0 => (Way::FromCaller, Way::ToCaller),
            leg => (Way::FromCallee(leg), Way::ToCallee(leg)),
        };
        for stream in &record.media {
            let kind = stream.kind;
            all.extend(stream.losses.iter().map(|loss| Lost { kind, way: from, loss }));
            all.extend(stream.peer_losses.iter().map(|loss| Lost { kind, way: to, loss }));
        }
    }
    all.sort_by_key(|lost| lost.loss.from);
    all
}

/// In a sentence what was lost in all, or that nothing was; nothing where nothing was counted.
pub(super) fn sum(call: &CallRecord, all: &[Lost<'_>]) -> String {
    let mut ways: BTreeMap<Way, u64> = BTreeMap::new();
    for lost in all {
        let sum = ways.entry(lost.way).or_default();
        *sum = sum.saturating_add(lost.loss.packets);
    }
    if !ways.is_empty() {
        let ways = ways
            .iter()
            .map(|(way, sum)| format!("{} {}", packets(*sum), way.words()));
        return format!("Lost, in red where it was: {}.", ways.collect::<Vec<_>>().join("; "));
    }
    let mut streams = call.legs.iter().flat_map(|leg| &leg.media).peekable();
    match streams.peek().is_none() {
        true => String::new(),
        // Records of older versions have only the numbers.
        false if streams.any(|stream| stream.lost > 0 || stream.peer_lost.unwrap_or(0) > 0) => {
            "Packets were lost; when is not known.".to_owned()
        }
        false => "No packets are known to be lost.".to_owned(),
    }
}

/// The same for who does not see the drawing.
pub(super) fn table(start: UnixMs, all: &[Lost<'_>]) -> Markup {
    html! {
        table class="losses-table" {
            thead { tr { @for name in ["From", "To", "Stream", "Where", "Lost"] { th scope="col" { (name) } } } }
            tbody {
                @for lost in all {
                    tr {
                        td class="number" { (after(start, lost.loss.from)) }
                        td class="number" { (after(start, lost.loss.until)) }
                        td { @match lost.kind { MediaKind::Audio => "sound", MediaKind::Video => "picture" } }
                        td { (lost.way.words()) }
                        td class="number bad" { (packets(lost.loss.packets)) }
                    }
                }
            }
        }
    }
}

fn packets(count: u64) -> String {
    match count {
        1 => "1 packet".to_owned(),
        count => format!("{count} packets"),
    }
}
