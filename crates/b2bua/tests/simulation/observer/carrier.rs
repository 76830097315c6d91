//! What carriers rely on: early dialogs and their faults, resources, P-Early-Media, calls that go on, help.

use segue_call::{LegId, MediaAction, MediaEvent};
use segue_policy::PEarlyMedia;

use super::{Marks, Said, View};
use crate::{
    body::Offer,
    caller::habits::Way,
    dice::Time,
    timers::expires,
    world::{Seen, carrier::Kind},
};

fn has(msg: &[u8], text: &str) -> bool {
    std::str::from_utf8(msg).is_ok_and(|sdp| sdp.contains(text))
}

impl<'a> View<'a> {
    pub(super) fn carrier(&self, marks: &mut Marks) -> Result<(), String> {
        let Some(kind) = self.world.setup.kind else {
            return Ok(());
        };
        let (status, answered) = self.outcome()?;
        marks.insert(format!(
            "{kind:?}: {}",
            if status == 200 { "answered" } else { "not answered" }
        ));
        self.pracks_of_a(marks)?;
        self.early_offers(marks)?;
        self.early_media_is_told(marks)?;
        self.content_is_named(marks)?;
        self.refused_and_asked_again(marks)?;
        self.resources(marks, status)?;
        self.pictures(marks, answered)?;
        self.nothing_stops_help(marks, status)?;
        self.goes_on(marks, status)?;
        hold!(
            !self.a.iter().any(|s| s.responds(true, "INVITE") == Some(199)),
            "a 199 to A, who has one early dialog"
        );
        if self.b.iter().any(|s| s.responds(false, "INVITE") == Some(199)) {
            marks.insert("199 from B".into());
        }
        let retry = self.b.iter().any(|s| s.responds(false, "INVITE") == Some(503));
        if retry && !self.given_up() {
            hold!(status != 503, "A saw B's 503");
            marks.insert("B's 503 was kept from A".into());
        }
        Ok(())
    }

    /// A or the operator ended it, or A went dark.
    fn given_up(&self) -> bool {
        let caller = &self.world.callers[self.call].script;
        self.a.iter().any(|s| s.is(false, "CANCEL") || s.is(false, "BYE"))
            || self.entries.iter().any(|e| matches!(e.what, Seen::Hangup { .. }))
            || caller.dies.is_some()
    }

    /// The response to this request of the peer or ours.
    fn answer_to(&self, said: &[Said<'a>], request: &Said<'a>) -> Option<Said<'a>> {
        let (branch, method) = (request.msg.branch(), request.msg.cseq().1);
        let answer = |s: &&Said| {
            s.out != request.out
                && s.msg.status().is_some_and(|c| c >= 200)
                && s.msg.branch() == branch
                && s.msg.cseq().1 == method
        };
        said.iter().find(answer).copied()
    }

    /// A wrong RAck gets 481, an offer in a PRACK its answer in the 200.
    fn pracks_of_a(&self, marks: &mut Marks) -> Result<(), String> {
        let mut said: Vec<String> = Vec::new();
        for s in &self.a {
            if let Some(rseq) = s.msg.rseq().filter(|_| s.out) {
                said.push(format!("{rseq} 1 INVITE"));
            }
            if !s.is(false, "PRACK") {
                continue;
            }
            let Some(answer) = self.answer_to(&self.a, s) else {
                continue;
            };
            let status = answer.msg.status().unwrap_or_default();
            let right = said.iter().any(|rack| Some(rack.as_str()) == s.msg.header("rack"));
            if !right {
                // One that was overtaken has a CSeq that is too low by now.
                hold!(matches!(status, 481 | 500), "a wrong RAck got {status}");
                marks.insert(format!("wrong RAck: {status}"));
            } else if s.msg.sdp().is_some() && self.world.callers[self.call].script.offer != Offer::Delayed {
                hold!(
                    status != 200 || answer.msg.sdp().is_some(),
                    "an offer in a PRACK was not answered in its 200"
                );
                marks.insert(format!("PRACK with an offer: {status}"));
            }
        }
        Ok(())
    }

    /// UPDATE before the answer, by both sides: each 2xx has an answer if there was an offer, and none if not.
    fn early_offers(&self, marks: &mut Marks) -> Result<(), String> {
        for (who, said) in [("A", &self.a), ("B", &self.b)] {
            let over = said
                .iter()
                .find(|s| s.responds(who == "A", "INVITE").is_some_and(|c| c >= 200))
                .map_or(Time::MAX, |s| s.at);
            for s in said.iter().filter(|s| s.is(false, "UPDATE")) {
                let Some(answer) = self.answer_to(said, s) else {
                    continue;
                };
                let status = answer.msg.status().unwrap_or_default();
                if status == 200 {
                    hold!(
                        s.msg.sdp().is_some() == answer.msg.sdp().is_some(),
                        "an UPDATE of {who}, and its 200: one has SDP"
                    );
                }
                if s.at < over {
                    let what = if s.msg.sdp().is_some() {
                        "with an offer"
                    } else {
                        "without"
                    };
                    marks.insert(format!("early UPDATE of {who} {what}: {status}"));
                }
            }
        }
        Ok(())
    }

    /// P-Early-Media to trusted callers that ask, and to nobody else (RFC 5009 §6, §8).
    fn early_media_is_told(&self, marks: &mut Marks) -> Result<(), String> {
        let profile = &self.world.setup.profile;
        let asks = self.world.callers[self.call].script.habits.hears_early_media;
        let may = match profile.p_early_media {
            PEarlyMedia::Never => false,
            PEarlyMedia::Always => profile.trusted,
            PEarlyMedia::Supported => profile.trusted && asks,
        };
        for s in self.a.iter().filter(|s| s.out) {
            let told = s.msg.header("p-early-media");
            hold!(told.is_none() || may, "A was told P-Early-Media: {told:?}");
            if told.is_some() {
                marks.insert("P-Early-Media to A".into());
            }
        }
        Ok(())
    }

    /// The clip is named as a tone to A, until A is answered, and to nobody else (3GPP TS 24.182 annex B).
    fn content_is_named(&self, marks: &mut Marks) -> Result<(), String> {
        let named = |s: &&Said| s.out && s.msg.sdp().is_some_and(|sdp| has(sdp, "a=content:g.3gpp.cat"));
        hold!(!self.b.iter().any(|s| named(&s)), "B was told of a tone");
        let over = self
            .a
            .iter()
            .find(|s| s.responds(true, "INVITE") == Some(200))
            .map(|s| s.at);
        for s in self.a.iter().filter(named) {
            hold!(
                self.world.setup.profile.cat_content,
                "a tone was named that nobody wants named"
            );
            // What was said before the 200 may be said again.
            let first = self.a.iter().find(|f| f.out && f.msg.bytes() == s.msg.bytes());
            let later = first.is_some_and(|first| over.is_some_and(|over| first.at > over));
            hold!(
                !later || s.msg.status().is_none() || s.msg.cseq() == (1, "INVITE"),
                "an answer to A after its 200 names a tone"
            );
            marks.insert("a tone named to A".into());
        }
        Ok(())
    }

    /// 420, 421 and 422 of B are mended by the next INVITE.
    fn refused_and_asked_again(&self, marks: &mut Marks) -> Result<(), String> {
        let first = |s: &&Said| s.is(true, "INVITE") && s.msg.tag_of_to().is_empty();
        for refusal in self.b.iter().filter(|s| {
            matches!(s.responds(false, "INVITE"), Some(420..=422)) && s.msg.tag_of_to().starts_with("first")
        }) {
            let next = self
                .b
                .iter()
                .filter(first)
                .find(|s| s.msg.cseq().0 > refusal.msg.cseq().0);
            let Some(next) = next else {
                let ended = self
                    .entries
                    .iter()
                    .any(|e| matches!(e.what, Seen::Ended { .. }) && e.at <= refusal.at);
                // Nor does anybody want B any more once A has been answered otherwise.
                let (_, answered) = self.outcome()?;
                let closed = self
                    .actions()
                    .any(|(at, a)| at <= refusal.at && matches!(a, MediaAction::CloseLeg { .. }));
                let cancelled = self.b.iter().any(|s| s.is(true, "CANCEL"));
                let gone = closed || cancelled || ended || answered <= refusal.at || self.given_up();
                hold!(gone, "B's {:?} was not tried again", refusal.msg.status());
                continue;
            };
            let required = next.msg.has_token("require", "100rel");
            let mended = match refusal.msg.status() {
                Some(420) => !required,
                Some(421) => required,
                _ => expires(next.msg).is_some_and(|(s, _)| s >= 200),
            };
            hold!(mended, "B's {:?} was tried again as it was", refusal.msg.status());
            marks.insert(format!(
                "B's {} was tried again",
                refusal.msg.status().unwrap_or_default()
            ));
        }
        Ok(())
    }

    /// Neither clip nor callee before A's resources are there (RFC 3312 §5.2, §6).
    fn resources(&self, marks: &mut Marks, status: u16) -> Result<(), String> {
        if self.world.setup.kind != Some(Kind::Preconditions) {
            return Ok(());
        }
        let there = self
            .a
            .iter()
            .filter(|s| s.is(false, "UPDATE") || s.is(false, "PRACK"))
            .find(|s| s.msg.sdp().is_some_and(|sdp| has(sdp, "a=curr:qos local sendrecv")))
            .map(|s| s.at);
        let begun = |at: Option<Time>| at.is_none_or(|at| there.is_some_and(|there| there <= at));
        let invited = self.b.iter().find(|s| s.is(true, "INVITE")).map(|s| s.at);
        let played = self
            .actions()
            .find(|(_, a)| matches!(a, MediaAction::Play { .. }))
            .map(|(at, _)| at);
        let plain = self.world.callers[self.call].script.offer == Offer::Foreign;
        hold!(plain || begun(invited), "B was invited before A's resources were there");
        hold!(begun(played), "the clip began before A's resources were there");
        if there.is_some() && invited.is_some() {
            marks.insert("B was invited when the resources were there".into());
        }
        if status == 580 {
            marks.insert("580 to A".into());
            hold!(invited.is_none(), "580 though B was invited");
        }
        Ok(())
    }

    /// Clip, callee and 2xx wait for the word about pictures that are added (RFC 3311 §5.1).
    fn pictures(&self, marks: &mut Marks, answered: Time) -> Result<(), String> {
        let added = |s: &&Said| s.is(true, "UPDATE") && s.msg.sdp().is_some_and(|sdp| has(sdp, "m=video"));
        let Some(update) = self.a.iter().find(|s| added(s) && s.at < answered) else {
            return Ok(());
        };
        let word = self.answer_to(&self.a, update);
        let (status, since) = self.outcome()?;
        let until = word.map_or(Time::MAX, |w| w.at);
        hold!(status >= 300 || until <= since, "200 to A while an UPDATE was open");
        if let Some(invited) = self.b.iter().find(|s| s.is(true, "INVITE")).map(|s| s.at) {
            hold!(until <= invited, "B was invited while an UPDATE to A was open");
        }
        let word = word.and_then(|w| w.msg.status());
        marks.insert(format!(
            "pictures offered: {}",
            word.map_or("silence".into(), |w| w.to_string())
        ));
        if matches!(word, None | Some(408 | 481)) {
            hold!(status >= 300, "A's dialog was over, and it got {status}");
        }
        Ok(())
    }

    /// Help is called whatever stands in the way, and nothing is made of the call.
    fn nothing_stops_help(&self, marks: &mut Marks, status: u16) -> Result<(), String> {
        if self.world.setup.kind != Some(Kind::Emergency) {
            return Ok(());
        }
        let touched = self
            .actions()
            .any(|(_, a)| matches!(a, MediaAction::Play { .. } | MediaAction::Record { .. }));
        hold!(!touched, "something was played or recorded in an emergency call");
        let asked = self.entries.iter().any(|e| matches!(e.what, Seen::Store { .. }));
        hold!(!asked, "the store was asked about an emergency call");
        let ports = self.events().any(|(_, e)| matches!(e, MediaEvent::OpenFailed { .. }));
        let delivered = self.b.iter().any(|s| s.is(true, "INVITE")) || self.unsent_to_b().is_some();
        // Who makes no offer and requires 100rel must answer ours first.
        let invite = self.a.iter().find(|s| s.is(false, "INVITE"));
        let ours_first = invite.is_some_and(|s| s.msg.sdp().is_none() && s.msg.has_token("require", "100rel"));
        hold!(
            delivered || ports || ours_first || self.given_up(),
            "an emergency call was refused with {status}"
        );
        for s in self
            .b
            .iter()
            .filter(|s| s.is(true, "INVITE") && s.msg.tag_of_to().is_empty())
        {
            hold!(
                s.msg.request_uri() == "urn:service:sos.fire",
                "help was called as {}",
                s.msg.request_uri()
            );
            marks.insert("help was called".into());
        }
        Ok(())
    }

    /// A callee who is no subscriber: as it was called, nothing played, its own word.
    fn goes_on(&self, marks: &mut Marks, status: u16) -> Result<(), String> {
        if self.world.setup.kind != Some(Kind::Onward) {
            return Ok(());
        }
        let touched = self
            .actions()
            .any(|(_, a)| matches!(a, MediaAction::Play { .. } | MediaAction::Record { .. }));
        hold!(
            !touched,
            "something was played to a caller whose callee is no subscriber"
        );
        let caller = &self.world.callers[self.call];
        let Some(called) = self.a.iter().find(|s| s.is(false, "INVITE")) else {
            return Ok(());
        };
        for s in self
            .b
            .iter()
            .filter(|s| s.is(true, "INVITE") && s.msg.tag_of_to().is_empty())
        {
            hold!(
                s.msg.request_uri() == called.msg.request_uri(),
                "{} was called as {}",
                called.msg.request_uri(),
                s.msg.request_uri()
            );
            marks.insert(format!("went on, {:?}", caller.script.habits.way));
        }
        let no_port = self
            .events()
            .any(|(_, e)| matches!(e, MediaEvent::OpenFailed { leg, .. } if *leg == LegId::A));
        if caller.script.habits.way != Way::Here && self.unsent_to_b().is_none() && !self.given_up() && !no_port {
            let word = self.b.iter().find_map(|s| {
                let word = s
                    .responds(false, "INVITE")
                    .filter(|c| *c >= 300 && !matches!(c, 420..=422))?;
                self.waited(s).then_some(word)
            });
            let cancelled = self.b.iter().any(|s| s.is(true, "CANCEL"));
            if let Some(word) = word.filter(|_| !cancelled && status >= 300) {
                let word = if word == 503 { 500 } else { word };
                hold!(status == word, "B said {word}, A got {status}");
                marks.insert("B's refusal went to A".into());
            }
        }
        Ok(())
    }
}
