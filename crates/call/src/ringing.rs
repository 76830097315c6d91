//! The callee's targets ring, together or in order; A goes on watching the clip. The first that answers is connected.

use std::{collections::VecDeque, time::Instant};

use segue_policy::{AS_CALLED, Plan, Ring};
use segue_sip_wire::{Scheme, Uri};

use crate::{
    bridged::Bridged,
    cx::Cx,
    deciding,
    ending::Ending,
    io::{Contact, LegId, Lookup, MediaEvent, Source},
    legs::Seen,
    missed::Missed,
    onward::bare_host,
    phase::Phase,
    reason,
};

/// The callee's targets ring.
#[derive(Debug)]
pub(crate) struct Ringing {
    lookup: Box<Lookup>,
    /// Those whose turn it is.
    lanes: Vec<Lane>,
    /// Targets that are less preferred: each tier rings once nobody of the one before does.
    later: VecDeque<Vec<Target>>,
    /// The best of what those said that did not take the call.
    missed: Option<Missed>,
    /// How many did not.
    missed_count: usize,
    has_invited: bool,
    /// Counted from the first INVITE.
    no_answer_at: Option<Instant>,
    /// How many more targets a 3xx may bring.
    redirects_left: usize,
}

/// Most targets of one call that come from 3xx.
const REDIRECTS_MAX: usize = 5;

/// Longest URI of a 3xx that is called, bytes.
const REDIRECT_BYTES_MAX: usize = 256;

/// Somebody to call.
#[derive(Debug)]
pub(crate) struct Target {
    pub uri: Uri,
    /// The callee as A called it.
    pub as_called: bool,
    /// By the call's way on, not by its own host.
    pub onward: bool,
    pub redirected_by: Option<LegId>,
    /// A rule of the callee's forwards the caller to it: the status that says why (RFC 4458 §2.2).
    pub forwarded_for: Option<u16>,
    /// It has refused what A was answered: it is offered more.
    pub wider: bool,
    /// It is offered RTP, having refused SRTP.
    pub over_rtp: bool,
    /// How much it is preferred, thousandths.
    pub preference: u16,
}

/// Targets that are tried one after the other. In order: one lane with all; together: a lane for each.
#[derive(Debug)]
struct Lane {
    waiting: VecDeque<Target>,
    trying: Option<LegId>,
    /// Its share of Max-Breadth: in a lane there is never more than one branch at a time.
    breadth: u8,
    /// When the next one's turn comes.
    until: Option<Instant>,
}

/// Why nobody can be called, if that is so.
pub(crate) fn nowhere_to_call(plan: &Plan, cx: &Cx) -> Option<Missed> {
    match (targets(plan, cx).next(), plan.engaged) {
        (Some(_), _) => None,
        (None, Some(calls)) => Some(Missed::engaged(calls)),
        (None, None) if plan.unregistered => Some(Missed::unregistered()),
        (None, None) if plan.targets.is_empty() && !plan.barred.is_empty() => Some(Missed::barred(plan)),
        (None, None) => Some(Missed::bad_target(plan.targets.first().map_or("", String::as_str))),
    }
}

/// The targets that can be called: those that go onward only where there is a way on.
pub(crate) fn targets<'a>(plan: &'a Plan, cx: &Cx) -> impl Iterator<Item = Target> + use<'a> {
    let has_way = cx.way.is_some();
    named(plan, cx).filter(move |target| has_way || !target.onward)
}

/// The targets that a plan names.
pub(crate) fn named<'a>(plan: &'a Plan, cx: &Cx) -> impl Iterator<Item = Target> + use<'a> {
    let (called, by_hop) = (cx.invite.request_uri.clone(), plan.onward && cx.has_next_hop());
    let target = move |text: &String| {
        let as_called = text == AS_CALLED;
        let uri = if as_called { called.clone() } else { text.parse().ok()? };
        let onward = as_called || by_hop || !uri.is_sip();
        Some(Target {
            uri,
            as_called,
            onward,
            redirected_by: None,
            forwarded_for: plan.decided.forwarded_for,
            wider: false,
            over_rtp: false,
            preference: plan.preference_of(text),
        })
    };
    let known = |target: &Target| target.as_called || target.uri.is_sip() || *target.uri.scheme() == Scheme::Tel;
    plan.targets.iter().filter_map(target).filter(known)
}

/// How many branches a plan has at a time.
pub(crate) fn breadth(plan: &Plan, cx: &Cx) -> usize {
    match plan.ring {
        Ring::Together => tiers(targets(plan, cx)).iter().map(Vec::len).max().unwrap_or(0),
        Ring::InOrder => 1,
    }
}

/// Targets by how much they are preferred, those of one value in their order (RFC 3261 §16.6: "process … in order of qvalues").
fn tiers(targets: impl Iterator<Item = Target>) -> VecDeque<Vec<Target>> {
    let mut tiers: VecDeque<Vec<Target>> = VecDeque::new();
    let mut all: Vec<Target> = targets.collect();
    all.sort_by_key(|target| std::cmp::Reverse(target.preference));
    for target in all {
        match tiers.back_mut() {
            Some(tier) if tier.first().is_some_and(|first| first.preference == target.preference) => tier.push(target),
            _ => tiers.push_back(vec![target]),
        }
    }
    tiers
}

impl Ringing {
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    pub fn begin(lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        let targets = targets(&lookup.plan, cx);
        let (lanes, later) = match lookup.plan.ring {
            Ring::InOrder => (lanes(vec![targets.collect()], cx), VecDeque::new()),
            Ring::Together => (Vec::new(), tiers(targets)),
        };
        let mut ringing = Ringing {
            lanes,
            later,
            lookup,
            missed: None,
            missed_count: 0,
            // Who is forwarded to comes after others.
            has_invited: cx.record.invited_at.is_some(),
            no_answer_at: None,
            redirects_left: REDIRECTS_MAX,
        };
        ringing.try_waiting(cx);
        ringing.go_on(cx)
    }

    pub fn on(mut self, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::Media(MediaEvent::Opened { leg, ports }) => {
                let lane = self.lanes.iter().find(|lane| lane.trying == Some(leg));
                let breadth = lane.map_or(1, |lane| lane.breadth);
                if cx.invite_target(leg, ports, breadth) {
                    self.invited(leg, cx);
                } else if cx.legs.b.get(leg).is_some_and(|branch| branch.wider) {
                    cx.end_branch(leg, reason::NO_COMMON_MEDIA);
                    return self.failed(leg, cx.no_codec(), cx);
                }
                Phase::Ringing(self)
            }
            Seen::Media(MediaEvent::OpenFailed { leg, why }) => {
                cx.lease_failed(leg);
                self.failed(leg, Missed::no_ports(&why), cx)
            }
            Seen::CalleeProgress { status, has_more } => {
                cx.hear_callees();
                cx.tell_progress(status, has_more);
                Phase::Ringing(self)
            }
            Seen::EarlyMediaChanged => {
                cx.hear_callees();
                Phase::Ringing(self)
            }
            Seen::Pracked => {
                cx.may_hear();
                Phase::Ringing(self)
            }
            Seen::CalleeAnswered { leg, fork, sdp } => match cx.target_answered(leg, fork.as_ref(), sdp) {
                Ok(()) => {
                    cx.hearing = None;
                    cx.end_other_branches(leg, reason::ELSEWHERE);
                    Bridged::begin(leg, self.lookup, cx)
                }
                Err(error) => {
                    cx.end_branch(leg, reason::NO_COMMON_MEDIA);
                    self.failed(leg, Missed::nothing_in_common(&error.to_string()), cx)
                }
            },
            Seen::CalleeFailed {
                leg,
                status,
                phrase,
                local,
                said,
            } => {
                let wider = || {
                    cx.once_more(leg)
                        .filter(|_| matches!(status, 488 | 606) && cx.may_offer_wider(leg))
                };
                match cx.once_more_over_rtp(leg, status).or_else(wider).filter(|_| !local) {
                    Some(target) => self.once_more(leg, target, cx),
                    None => self.failed(leg, Missed::refused(status, &phrase, local).saying(said), cx),
                }
            }
            Seen::CalleeRedirected {
                leg,
                status,
                phrase,
                contacts,
                said,
            } => {
                let missed = Missed::refused(status, &phrase, false).saying(said);
                self.redirected(leg, missed, contacts, cx)
            }
            Seen::CalleeGone { leg, .. } => self.failed(leg, Missed::broke_off(), cx),
            Seen::Due if cx.early_is_over() => self.give_up(Missed::too_long(), cx),
            Seen::Due if self.no_answer_at.is_some_and(|at| cx.is_due(at)) => {
                let missed = Missed::no_answer(self.lookup.plan.no_answer_ms);
                self.give_up(missed, cx)
            }
            Seen::Due => self.whose_turn_is_over(cx),
            Seen::CallerGone(gone) => Ending::caller_left_early(cx, gone),
            Seen::HangUp => Ending::by_operator(cx),
            // Without a hold the clip, or the greeting in its place, begins now.
            Seen::Media(MediaEvent::FirstPacket {
                source: Source::Greeting,
            }) => {
                cx.note_first_clip_packet();
                Phase::Ringing(self)
            }
            Seen::Media(MediaEvent::PlayFailed {
                source: Source::Clip | Source::Greeting,
                why,
            }) => {
                cx.clip_trouble = Some(why);
                Phase::Ringing(self)
            }
            Seen::CallerAnswered
            | Seen::CallerChanged
            | Seen::CallerAligned { .. }
            | Seen::Key { .. }
            | Seen::Media(_)
            | Seen::Store(_)
            | Seen::MayRecord
            | Seen::MailboxFull { .. } => Phase::Ringing(self),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let turns = self.lanes.iter().filter_map(|lane| lane.until);
        turns.chain(self.no_answer_at).min()
    }

    /// Whether anything of the call is known on the callee's side.
    pub fn has_invited(&self) -> bool {
        self.has_invited
    }

    /// An INVITE has gone out.
    fn invited(&mut self, leg: LegId, cx: &Cx) {
        let plan = &self.lookup.plan;
        self.has_invited = true;
        // How long a callee rings who is no subscriber, others decide.
        if !plan.plain {
            self.no_answer_at.get_or_insert_with(|| cx.in_ms(plan.no_answer_ms));
        }
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.trying == Some(leg)) {
            let takes_turns = plan.ring == Ring::InOrder || !lane.waiting.is_empty() || !self.later.is_empty();
            lane.until = takes_turns.then(|| cx.in_ms(plan.ring_ms));
        }
    }

    /// Whom each free lane tries next; when all are through, the next tier.
    fn try_waiting(&mut self, cx: &mut Cx) {
        loop {
            for lane in self.lanes.iter_mut().filter(|lane| lane.trying.is_none()) {
                lane.trying = lane.waiting.pop_front().and_then(|target| cx.try_target(target));
            }
            if self.lanes.iter().any(|lane| lane.trying.is_some()) {
                return;
            }
            let Some(tier) = self.later.pop_front() else { return };
            self.lanes = lanes(tier.into_iter().map(|target| VecDeque::from([target])).collect(), cx);
        }
    }

    /// A target does not take the call.
    fn failed(mut self, leg: LegId, missed: Missed, cx: &mut Cx) -> Phase {
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.trying == Some(leg)) else {
            return Phase::Ringing(self);
        };
        lane.trying = None;
        lane.until = None;
        let is_for_all = missed.is_for_all();
        self.note(missed);
        if is_for_all {
            cx.end_branches(reason::DECLINED_ELSEWHERE);
            return self.missed(cx);
        }
        self.try_waiting(cx);
        self.go_on(cx)
    }

    /// A target has refused the codec that it was offered: it is offered more.
    fn once_more(mut self, leg: LegId, target: Target, cx: &mut Cx) -> Phase {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.trying == Some(leg)) {
            lane.trying = None;
            lane.until = None;
            lane.waiting.push_front(target);
        }
        cx.ask_for_transcoder();
        self.try_waiting(cx);
        self.go_on(cx)
    }

    /// A target is to be reached elsewhere: where the profile allows it, and no URI twice, the best first.
    fn redirected(mut self, leg: LegId, missed: Missed, mut contacts: Vec<Contact>, cx: &mut Cx) -> Phase {
        contacts.sort_by_key(|contact| std::cmp::Reverse(contact.q));
        let mut next: Vec<Uri> = Vec::new();
        for Contact { uri, .. } in contacts {
            let allowed = &cx.invite.profile.redirect_targets;
            let host = bare_host(&uri);
            let waits = |uri: &Uri| {
                let waiting = self.lanes.iter().flat_map(|lane| &lane.waiting);
                waiting.chain(self.later.iter().flatten()).any(|t| t.uri.matches(uri))
            };
            let follow = next.len() < self.redirects_left
                && uri.is_sip()
                && uri.to_string().len() <= REDIRECT_BYTES_MAX
                && allowed.iter().any(|allowed| allowed.admits(&host))
                && !cx.comes_back(&uri, &self.lookup.plan.mailbox)
                && !cx.legs.b.has_tried(&uri)
                && !waits(&uri)
                && !next.iter().any(|other| other.matches(&uri));
            if follow {
                next.push(uri);
            }
        }
        if next.is_empty() {
            return self.failed(leg, missed, cx);
        }
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.trying == Some(leg)) else {
            return Phase::Ringing(self);
        };
        self.redirects_left = self.redirects_left.saturating_sub(next.len());
        lane.trying = None;
        lane.until = None;
        for uri in next.into_iter().rev() {
            lane.waiting.push_front(Target {
                uri,
                as_called: false,
                onward: false,
                redirected_by: Some(leg),
                forwarded_for: None,
                wider: false,
                over_rtp: false,
                preference: 1_000,
            });
        }
        self.try_waiting(cx);
        self.go_on(cx)
    }

    /// Some have rung as long as they may: the next ones' turn.
    fn whose_turn_is_over(mut self, cx: &mut Cx) -> Phase {
        for at in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(at) else { break };
            if lane.until.is_some_and(|until| cx.is_due(until)) {
                lane.until = None;
                if let Some(leg) = lane.trying.take() {
                    cx.end_branch(leg, reason::NO_ANSWER);
                    self.note(Missed::rang_out());
                }
            }
        }
        self.try_waiting(cx);
        self.go_on(cx)
    }

    fn note(&mut self, missed: Missed) {
        self.missed_count = self.missed_count.saturating_add(1);
        self.missed = Some(match self.missed.take() {
            Some(before) => before.or_better(missed),
            None => missed,
        });
    }

    /// Ring on, unless there is nobody left.
    fn go_on(self, cx: &mut Cx) -> Phase {
        cx.hear_callees();
        if self.lanes.iter().any(|lane| lane.trying.is_some()) {
            Phase::Ringing(self)
        } else {
            self.missed(cx)
        }
    }

    /// Nobody took the call.
    fn missed(self, cx: &mut Cx) -> Phase {
        cx.end_transcoder();
        let missed = self.missed.unwrap_or_else(Missed::rang_out).of(self.missed_count);
        if self.lookup.plan.plain {
            return Ending::as_it_came(missed, cx);
        }
        if missed.is_a_loop() {
            return Ending::in_a_circle(missed, cx);
        }
        deciding::missed(missed, self.lookup, cx)
    }

    /// Whoever still rings has rung in vain.
    fn give_up(self, missed: Missed, cx: &mut Cx) -> Phase {
        cx.end_branches(reason::NO_ANSWER);
        cx.end_transcoder();
        if self.lookup.plan.plain {
            return Ending::as_it_came(missed, cx);
        }
        deciding::missed(missed, self.lookup, cx)
    }
}

/// A lane for each queue, with its share of Max-Breadth.
fn lanes(queues: Vec<VecDeque<Target>>, cx: &Cx) -> Vec<Lane> {
    let shares = shares(cx.invite.max_breadth, queues.len());
    let lane = |(waiting, breadth)| Lane {
        waiting,
        trying: None,
        breadth,
        until: None,
    };
    queues.into_iter().zip(shares).map(lane).collect()
}

/// Max-Breadth, split over branches that ring together (RFC 5393 §5.3.3): at least 1 for each, which the caller has seen to.
fn shares(max_breadth: u8, branches: usize) -> impl Iterator<Item = u8> {
    let all = usize::from(max_breadth);
    let (each, left) = (all.checked_div(branches), all.checked_rem(branches));
    let share = move |at| each.unwrap_or(all) + usize::from(left.is_some_and(|left| at < left));
    (0..branches).map(move |at| u8::try_from(share(at)).unwrap_or(u8::MAX).max(1))
}
