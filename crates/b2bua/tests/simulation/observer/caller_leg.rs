//! A's leg: one final response, one answer, reliable responses in order, one end.

use std::collections::{BTreeMap, BTreeSet};

use segue_call::MediaAction;

use super::{Marks, Said, View, first_of};
use crate::{
    dice::{MS, Time},
    phone::TRIED,
    wire::Msg,
};

impl<'a> View<'a> {
    /// The final responses to A's INVITE, one branch each: status and first moment.
    pub(super) fn finals(&self) -> Result<BTreeMap<&str, (u16, Time)>, String> {
        let mut finals: BTreeMap<&str, (u16, Time, &[u8])> = BTreeMap::new();
        for said in self
            .a
            .iter()
            .filter(|s| s.msg.cseq().0 == 1 && s.responds(true, "INVITE").is_some_and(|c| c >= 200))
        {
            let status = said.msg.status().unwrap_or_default();
            let first = finals
                .entry(said.msg.branch())
                .or_insert((status, said.at, said.msg.bytes()));
            hold!(
                first.2 == said.msg.bytes(),
                "A got two different final responses: {} and {status}",
                first.0
            );
        }
        Ok(finals
            .into_iter()
            .map(|(branch, (status, at, _))| (branch, (status, at)))
            .collect())
    }

    /// The one final response that A's INVITE got, not counting merged copies of it.
    pub(super) fn outcome(&self) -> Result<(u16, Time), String> {
        let finals = self.finals()?;
        let real: Vec<_> = finals.values().filter(|(status, _)| *status != 482).collect();
        hold!(real.len() == 1, "A's INVITE got {} final responses", real.len());
        Ok(*real[0])
    }

    pub(super) fn caller_leg(&self, marks: &mut Marks) -> Result<(), String> {
        let branches: BTreeSet<&str> = self
            .a
            .iter()
            .filter(|s| s.is(false, "INVITE") && s.msg.cseq().0 == 1)
            .map(|s| s.msg.branch())
            .collect();
        let finals = self.finals()?;
        hold!(
            branches.iter().all(|b| finals.contains_key(b)),
            "an INVITE of A got no final response"
        );
        if branches.len() > 1 {
            hold!(
                finals.values().filter(|(status, _)| *status == 482).count() == branches.len() - 1,
                "a merged INVITE was served"
            );
            marks.insert("merged INVITE".into());
        }
        if self
            .a
            .iter()
            .filter(|s| s.is(false, "INVITE") && s.msg.cseq().0 == 1)
            .count()
            > branches.len()
        {
            marks.insert("INVITE retransmitted".into());
        }
        let (status, answered) = self.outcome()?;
        let cancel = self.a.iter().find(|s| s.is(false, "CANCEL"));
        let last_word = self
            .a
            .iter()
            .find(|s| s.responds(true, "INVITE") == Some(status))
            .map_or(0, |s| s.n);
        if let Some(cancel) = cancel.filter(|c| c.n < last_word) {
            hold!(
                status == 487 && cancel.at == answered,
                "A's CANCEL was followed by {status}"
            );
        }
        let byes_in = self.a.iter().filter(|s| s.is(false, "BYE"));
        let byes_out: BTreeMap<&str, Time> = first_of(self.a.iter().filter(|s| s.is(true, "BYE")).copied());
        if status >= 300 {
            hold!(byes_out.is_empty(), "a BYE to A, who was refused");
            return Ok(());
        }
        hold!(byes_out.len() <= 1, "{} BYEs to A", byes_out.len());
        let bye_in = byes_in.map(|s| s.at).min();
        let bye_out = byes_out.values().copied().min();
        let Some(end) = bye_in.into_iter().chain(bye_out).min() else {
            return Err("A's dialog was never ended".into());
        };
        let tag = self
            .a
            .iter()
            .find(|s| s.responds(true, "INVITE") == Some(status))
            .map_or("", |s| s.msg.tag_of_to());
        let is_ack = |s: &&Said| s.is(false, "ACK") && s.msg.cseq().0 == 1 && s.msg.tag_of_to() == tag;
        let acked = self.a.iter().find(is_ack).map(|s| s.at);
        if let Some(at) = bye_out.filter(|at| bye_in.is_none_or(|b| *at <= b)) {
            let entitled = acked.is_some_and(|ack| ack <= at) || at >= answered + TRIED;
            hold!(
                entitled,
                "BYE to A before its ACK, {} ms after the 200",
                (at - answered) / MS
            );
            marks.insert("BYE to A".into());
        } else {
            marks.insert("BYE from A".into());
        }
        if acked.is_none_or(|ack| ack > answered + 600 * MS) && end > answered + 600 * MS {
            let again = self
                .a
                .iter()
                .filter(|s| s.responds(true, "INVITE") == Some(200) && s.msg.cseq().0 == 1)
                .count();
            hold!(again >= 2, "the 200 to A was not repeated while its ACK was missing");
        }
        if acked.is_none() && bye_out.is_some_and(|at| at >= answered + TRIED) {
            marks.insert("ACK never came".into());
        }
        if acked.is_some_and(|ack| {
            self.a
                .iter()
                .any(|s| s.responds(true, "INVITE") == Some(200) && s.msg.cseq().0 == 1 && s.at > ack)
        }) {
            return Err("a 200 to A was repeated after its ACK".into());
        }
        Ok(())
    }

    /// All SDP in responses to A's INVITE is the same, and none follows a reliable answer.
    pub(super) fn one_answer(&self, marks: &mut Marks) -> Result<(), String> {
        let responses = self
            .a
            .iter()
            .filter(|s| s.msg.cseq().0 == 1 && s.responds(true, "INVITE").is_some_and(|c| c > 100));
        let mut first: Option<&[u8]> = None;
        let mut reliably: Option<&Msg> = None;
        let mut tag: Option<&str> = None;
        for said in responses.filter(|s| s.msg.status() != Some(482)) {
            hold!(
                !said.msg.tag_of_to().is_empty() && *tag.get_or_insert(said.msg.tag_of_to()) == said.msg.tag_of_to(),
                "A has two early dialogs"
            );
            // A 580 says what could not be met (RFC 3312 §8): that is no answer.
            let Some(sdp) = said.msg.sdp().filter(|_| said.msg.status() < Some(300)) else {
                continue;
            };
            hold!(*first.get_or_insert(sdp) == sdp, "A got two different answers");
            if let Some(answer) = reliably {
                hold!(
                    answer.rseq() == said.msg.rseq(),
                    "SDP in a {:?} after a reliable answer",
                    said.msg.status()
                );
            } else if said.msg.is_reliable() {
                reliably = Some(said.msg);
            }
            if said.msg.status().is_some_and(|s| s < 200) {
                marks.insert(if said.msg.is_reliable() {
                    "183 reliable".into()
                } else {
                    "183 unreliable".into()
                });
            }
        }
        let (status, _) = self.outcome()?;
        hold!(status >= 300 || first.is_some(), "A was answered without an answer");
        let offer = self.a.iter().find(|s| s.is(false, "INVITE")).and_then(|s| s.msg.sdp());
        match (offer, first) {
            (Some(offer), Some(answer)) => formats_were_offered(offer, answer, marks),
            (None, Some(_)) => {
                marks.insert("A was made an offer".into());
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// RFC 3262: RSeq by one, one at a time, the 2xx after the PRACK of an answer, B after the PRACK.
    pub(super) fn reliable_responses(&self, marks: &mut Marks) -> Result<(), String> {
        let mut said: BTreeMap<u32, (Time, &Msg)> = BTreeMap::new();
        for s in self.a.iter().filter(|s| s.out && s.msg.is_reliable()) {
            let rseq = s.msg.rseq().ok_or("a reliable response without RSeq")?;
            let known = said.entry(rseq).or_insert((s.at, s.msg));
            hold!(
                known.1.bytes() == s.msg.bytes(),
                "RSeq {rseq} was said twice, differently"
            );
        }
        let pracked = |rseq: u32| {
            let wanted = format!("{rseq} 1 INVITE");
            self.a
                .iter()
                .find(|s| s.is(false, "PRACK") && s.msg.header("rack") == Some(&wanted))
                .map(|s| s.at)
        };
        let (status, answered) = self.outcome()?;
        let to_b = self.b.iter().find(|s| s.is(true, "INVITE")).map(|s| s.at);
        let mut before: Option<u32> = None;
        for (rseq, (at, msg)) in &said {
            if let Some(last) = before {
                hold!(*rseq == last + 1, "RSeq {rseq} after {last}");
                hold!(
                    pracked(last).is_some_and(|p| p <= *at),
                    "RSeq {rseq} before the PRACK of {last}"
                );
            }
            before = Some(*rseq);
            let prack = pracked(*rseq);
            if msg.sdp().is_some() {
                hold!(
                    status >= 300 || prack.is_some_and(|p| p <= answered),
                    "200 to A while its answer waited for the PRACK"
                );
                hold!(
                    to_b.is_none_or(|b| b < *at || prack.is_some_and(|p| p <= b)),
                    "B was invited before the PRACK"
                );
                let played = self
                    .actions()
                    .find(|(_, a)| matches!(a, MediaAction::Play { .. }))
                    .map(|(at, _)| at);
                hold!(
                    played.is_none_or(|p| p < *at || prack.is_some_and(|k| k <= p)),
                    "the clip began before the PRACK"
                );
            }
            if prack.is_none() && status == 504 && answered >= at + TRIED {
                marks.insert("PRACK never came".into());
            }
            if prack.is_none_or(|p| p > at + 600 * MS) && answered > at + 600 * MS {
                let again = self.a.iter().filter(|s| s.out && s.msg.bytes() == msg.bytes()).count();
                hold!(
                    again >= 2,
                    "a reliable response was not repeated while its PRACK was missing"
                );
            }
        }
        let supports = self.a.iter().any(|s| {
            s.is(false, "INVITE") && (s.msg.has_token("supported", "100rel") || s.msg.has_token("require", "100rel"))
        });
        hold!(
            said.is_empty() || supports,
            "a reliable response to a caller who did not ask for it"
        );
        Ok(())
    }
}

/// An answer has as many m-lines as its offer, and in each that lives only formats that were offered there (RFC 3264 §6).
fn formats_were_offered(offer: &[u8], answer: &[u8], marks: &mut Marks) -> Result<(), String> {
    let text = |sdp| std::str::from_utf8(sdp).map_err(|e| e.to_string());
    let (offer, answer) = (text(offer)?, text(answer)?);
    let lines = |sdp| {
        str::lines(sdp)
            .filter_map(|line| line.strip_prefix("m="))
            .collect::<Vec<_>>()
    };
    let (offered, answered) = (lines(offer), lines(answer));
    hold!(
        offered.len() == answered.len(),
        "m-lines: {offered:?}, answered by {answered:?}"
    );
    for (theirs, ours) in offered.iter().zip(&answered) {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (theirs, ours) = (words(theirs), words(ours));
        hold!(
            theirs[0] == ours[0] && theirs[2] == ours[2],
            "{theirs:?} became {ours:?}"
        );
        let live = ours[1] != "0";
        hold!(!live || theirs[1] != "0", "a refused m-line came to life: {ours:?}");
        for format in ours[3..].iter().filter(|_| live) {
            hold!(
                theirs[3..].contains(format),
                "{format} of {ours:?} was not offered in {theirs:?}"
            );
        }
        if live {
            let map = format!("a=rtpmap:{} ", ours[3]);
            let codec = answer
                .lines()
                .find_map(|line| line.strip_prefix(&map))
                .unwrap_or("PCMU or PCMA");
            marks.insert(format!("A answered in {codec}"));
        }
    }
    Ok(())
}
