//! B's leg: each final response acknowledged, each dialog ended once, CANCEL in its time, a PRACK for each that asks.

use std::collections::{BTreeMap, BTreeSet};

use segue_call::MediaAction;

use super::{Marks, Said, View, first_of};
use crate::{dice::Time, phone::TRIED};

impl<'a> View<'a> {
    pub(super) fn callee_leg(&self, marks: &mut Marks) -> Result<(), String> {
        let first = |s: &&Said| s.is(true, "INVITE") && s.msg.tag_of_to().is_empty();
        let invites: BTreeMap<&str, Time> = first_of(self.b.iter().filter(first).copied());
        // One that was refused for what the next one mends, or that could not go by TCP, is followed by another.
        let mended = |s: &&Said| matches!(s.responds(false, "INVITE"), Some(420..=422));
        let again = first_of(self.b.iter().filter(mended).copied()).len();
        hold!(invites.len() <= 2 + again, "{} INVITEs to B", invites.len());
        if invites.is_empty() {
            hold!(self.b.is_empty(), "B heard something without being invited");
            return Ok(());
        }
        self.cancel_of_b(marks)?;
        // Each refusal that came got its ACK, each time; unless nobody waited any more.
        let waited = |s: &&Said| self.waited(s);
        for said in self
            .b
            .iter()
            .filter(|s| s.responds(false, "INVITE").is_some_and(|c| c >= 300))
            .filter(waited)
        {
            let acked = self
                .b
                .iter()
                .any(|s| s.is(true, "ACK") && s.msg.branch() == said.msg.branch() && s.at == said.at);
            hold!(acked, "a {:?} of B got no ACK", said.msg.status());
        }
        // Each 2xx got its ACK each time; each dialog its BYE once, from either side.
        let answers: Vec<&Said> = self
            .b
            .iter()
            .filter(|s| s.responds(false, "INVITE").is_some_and(|c| (200..300).contains(&c)))
            .filter(waited)
            .collect();
        let tags: BTreeSet<&str> = answers
            .iter()
            .filter(|s| invites.contains_key(s.msg.branch()))
            .map(|s| s.msg.tag_of_to())
            .collect();
        for said in &answers {
            let (number, _) = said.msg.cseq();
            let acked = self.b.iter().any(|s| {
                s.is(true, "ACK")
                    && s.msg.tag_of_to() == said.msg.tag_of_to()
                    && s.msg.cseq().0 == number
                    && s.at == said.at
            });
            hold!(acked, "a 200 of B ({}) got no ACK", said.msg.tag_of_to());
        }
        for tag in &tags {
            let out = first_of(
                self.b
                    .iter()
                    .filter(|s| s.is(true, "BYE") && s.msg.tag_of_to() == *tag)
                    .copied(),
            );
            let got = self.b.iter().any(|s| s.is(false, "BYE") && s.msg.tag_of_from() == *tag);
            hold!(out.len() <= 1, "{} BYEs to B ({tag})", out.len());
            hold!(got || out.len() == 1, "B's dialog {tag} was never ended");
            marks.insert(if got {
                "BYE from B".into()
            } else {
                "BYE to B".to_owned()
            });
        }
        if tags.len() > 1 {
            marks.insert("a second fork answered".into());
        }
        let byes: BTreeSet<&str> = self
            .b
            .iter()
            .filter(|s| s.is(true, "BYE"))
            .map(|s| s.msg.tag_of_to())
            .collect();
        hold!(byes.is_subset(&tags), "a BYE to B in a dialog that B never answered");
        self.pracks_to_b(marks)
    }

    /// Whether we still waited for this response: 64·T1 after an INVITE without any response (RFC 3261 §17.1.1.2, timer
    /// B), or after its CANCEL (§9.1), it is forgotten.
    pub(super) fn waited(&self, response: &Said) -> bool {
        self.waited_at(response.at)
    }

    fn waited_at(&self, at: Time) -> bool {
        let first = |found: Option<&Said>| found.map(|s| s.at);
        let invites = first_of(
            self.b
                .iter()
                .filter(|s| s.is(true, "INVITE") && s.msg.tag_of_to().is_empty())
                .copied(),
        );
        let invited = invites
            .values()
            .copied()
            .filter(|invited| *invited <= at)
            .max()
            .unwrap_or_default();
        let heard = |s: &&Said| s.at >= invited && s.responds(false, "INVITE").is_some();
        let heard = first(self.b.iter().find(heard)).unwrap_or_default();
        let cancelled = first(self.b.iter().find(|s| s.is(true, "CANCEL")));
        heard < invited + TRIED && cancelled.is_none_or(|c| at < c + TRIED)
    }

    pub(super) fn cancel_of_b(&self, marks: &mut Marks) -> Result<(), String> {
        let cancels: BTreeMap<&str, Time> = first_of(self.b.iter().filter(|s| s.is(true, "CANCEL")).copied());
        hold!(cancels.len() <= 1, "{} CANCELs to B", cancels.len());
        let Some((branch, cancelled)) = cancels.iter().next() else {
            return Ok(());
        };
        let mut responses = self
            .b
            .iter()
            .filter(|s| s.responds(false, "INVITE").is_some() && s.msg.branch() == *branch);
        let heard = responses.clone().any(|s| s.at <= *cancelled);
        hold!(heard, "CANCEL before B had said anything (RFC 3261 section 9.1)");
        let done = responses
            .clone()
            .any(|s| s.at < *cancelled && s.msg.status() >= Some(200));
        hold!(!done, "CANCEL after B's final response");
        marks.insert("CANCEL to B".into());
        if let Some(late) = responses.find(|s| s.msg.status().is_some_and(|c| (200..300).contains(&c))) {
            let tag = late.msg.tag_of_to();
            let bye = self.b.iter().filter(|s| s.is(true, "BYE") && s.msg.tag_of_to() == tag);
            let theirs = self.b.iter().any(|s| s.is(false, "BYE") && s.msg.tag_of_from() == tag);
            hold!(
                theirs || first_of(bye.copied()).len() == 1,
                "the 200 that crossed our CANCEL got no BYE"
            );
            let bridged = self.actions().any(|(_, a)| matches!(a, MediaAction::Bridge { .. }));
            hold!(!bridged || !self.alone(), "bridged after CANCEL");
            marks.insert("B's 200 crossed our CANCEL".into());
        }
        Ok(())
    }

    /// Each reliable response of B, in order, gets one PRACK.
    pub(super) fn pracks_to_b(&self, marks: &mut Marks) -> Result<(), String> {
        let pracks: BTreeMap<&str, Time> = first_of(self.b.iter().filter(|s| s.is(true, "PRACK")).copied());
        let mut asked: BTreeMap<(&str, u32), Time> = BTreeMap::new();
        let mut late: BTreeSet<(&str, u32)> = BTreeSet::new();
        let mut gone: BTreeSet<&str> = BTreeSet::new();
        for s in &self.b {
            let tag = s.msg.tag_of_to();
            if s.responds(false, "INVITE") == Some(199) {
                gone.insert(tag);
            }
            if s.out || !s.msg.is_reliable() {
                continue;
            }
            // What comes of an early dialog after its 199 is of none (RFC 6228 §4), unless the 199 came first of all.
            if gone.contains(tag) {
                late.insert((tag, s.msg.rseq().unwrap_or_default()));
                continue;
            }
            asked.entry((tag, s.msg.rseq().unwrap_or_default())).or_insert(s.at);
        }
        hold!(
            pracks.len() <= asked.len() + late.len(),
            "{} PRACKs for {} reliable responses",
            pracks.len(),
            asked.len()
        );
        let done = self
            .b
            .iter()
            .find(|s| s.responds(false, "INVITE").is_some_and(|c| c >= 200))
            .map(|s| s.at);
        for ((tag, rseq), at) in asked {
            let sent = self.b.iter().any(|s| {
                let rack = s.msg.header("rack").unwrap_or_default();
                s.is(true, "PRACK") && s.msg.tag_of_to() == tag && rack.starts_with(&format!("{rseq} "))
            });
            // After the final response nothing needs to be acknowledged (RFC 3262 §4).
            hold!(
                sent || !self.waited_at(at) || done.is_some_and(|d| d <= at),
                "B's reliable response {rseq} got no PRACK"
            );
            marks.insert("PRACK to B".into());
        }
        Ok(())
    }
}
