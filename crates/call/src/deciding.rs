//! What a subscriber's rules say of a call (docs/rules.md): once before anybody rings, once more when nobody takes it. All of it is
//! known since the look-up; here it is done.

use segue_policy::{First, Then, Why};
use segue_records::{CallResult, RuleRecord};

use crate::{
    cx::Cx,
    ending::Ending,
    greeting::Greeting,
    io::Lookup,
    missed::{BARRED, Missed},
    phase::Phase,
    reason, ringing,
};

/// A caller who does not say who it is, where that is asked for (RFC 5079).
const ANONYMITY_DISALLOWED: u16 = 433;
/// The callee does not want the call (RFC 3261 §21.6.2).
const DECLINE: u16 = 603;

/// Before anybody rings. The call's end, where the caller is to be refused.
pub(crate) fn first(lookup: &mut Lookup, cx: &mut Cx) -> Option<Phase> {
    let first = lookup.plan.decided.first;
    let place = lookup.plan.decided.first_place;
    if let Some(place) = place {
        let (why, did) = match first {
            First::Ring if lookup.plan.decided.forwarded_for.is_some() => (None, "forward"),
            First::Ring => (None, "ring"),
            First::Greeting(why) => (why, "greeting"),
            First::HangUp { .. } => (None, "hang-up"),
        };
        note(place, why, did, cx);
    }
    match first {
        First::Ring => None,
        // Nobody is held who is not put through.
        First::Greeting(_) => {
            lookup.clip = None;
            None
        }
        First::HangUp { anonymous } => {
            let status = if anonymous { ANONYMITY_DISALLOWED } else { DECLINE };
            cx.refuse_a(status, None, None);
            let why = format!("Rule {} of the callee's refuses the caller", place.unwrap_or_default());
            Some(Ending::begin(cx, CallResult::Rejected, Some(status), why))
        }
    }
}

/// Nobody takes the call.
pub(crate) fn missed(mut missed: Missed, mut lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
    let found = missed.why.and_then(|why| Some((why, lookup.plan.missed(why)?)));
    let Some((why, (place, then))) = found.filter(|(_, (_, then))| !cx.is_away() || matches!(then, Then::Forward(_)))
    else {
        return greet(missed, lookup, cx);
    };
    lookup.choose_greeting();
    match then {
        Then::HangUp => {
            note(place, Some(why), "hang-up", cx);
            cx.end_a(missed.status_for_a(), reason::NORMAL);
            let sentence = format!("{}; rule {place} of the callee's ends the call", missed.sentence);
            Ending::begin(cx, CallResult::Rejected, Some(missed.cause), sentence)
        }
        Then::Forward(_) if !lookup.plan.decided.barred.contains(&place) && may_forward(&lookup, cx) => {
            note(place, Some(why), "forward", cx);
            lookup.plan.decided.forwarded_for = Some(missed.cause);
            ringing::Ringing::begin(lookup, cx)
        }
        then => {
            note(place, Some(why), "greeting", cx);
            if let Then::Forward(target) = then {
                let why = match lookup.plan.decided.barred.contains(&place) {
                    true => BARRED,
                    false => "which could not be called",
                };
                let sentence = format!("; rule {place} of the callee's names {target}, {why}");
                missed.sentence.push_str(&sentence);
            }
            greet(missed, lookup, cx)
        }
    }
}

/// To the greeting; but nobody is sent from a mailbox to another.
fn greet(missed: Missed, lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
    match cx.is_away() {
        true => Ending::begin(cx, CallResult::Failed, Some(missed.cause), missed.sentence),
        false => Greeting::begin(missed, lookup, cx),
    }
}

/// There is time, and somebody who is not this server and the callee again.
fn may_forward(lookup: &Lookup, cx: &mut Cx) -> bool {
    // A number has no host: it goes by the call's way on.
    if cx.way.is_none()
        && let Some(onward) = ringing::named(&lookup.plan, cx).find(|target| target.onward)
    {
        cx.way = cx.way_on(&onward.uri, true).ok();
    }
    let breadth = ringing::breadth(&lookup.plan, cx);
    let mut targets = ringing::targets(&lookup.plan, cx);
    !cx.early_is_over()
        && breadth > 0
        && breadth <= usize::from(cx.invite.max_breadth)
        && targets.all(|target| !cx.comes_back(&target.uri, &lookup.plan.mailbox))
}

fn note(place: u32, why: Option<Why>, did: &str, cx: &mut Cx) {
    cx.record.rules.push(RuleRecord {
        place,
        why: why.map(|why| why.as_str().to_owned()),
        did: did.to_owned(),
    });
}

impl Lookup {
    /// The plan names another greeting now.
    fn choose_greeting(&mut self) {
        let name = self.plan.greeting.as_deref();
        if self.greeting.as_ref().map(|clip| clip.name.as_str()) != name {
            self.greeting = self.named.iter().find(|clip| Some(clip.name.as_str()) == name).cloned();
        }
    }
}
