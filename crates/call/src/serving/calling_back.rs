//! `5`: the sender of a message is called back, from within the mailbox: A stays in its one dialog, and its leg goes on as that of any call
//! ([`Ringing`], [`Bridged`](crate::bridged::Bridged)). When the callee has hung up, or does not take the call, A is at its message again.

mod sound;

use std::time::Instant;

use segue_policy::{First, Service, UnknownCallee};
use segue_records::{CallBackFacts, CallResult};
use segue_sdp::Direction;
use segue_sip_wire::Uri;

use super::{At, Line, REPLY_MS_MAX, Serving};
use crate::{
    cx::Cx,
    deciding,
    ending::Ending,
    io::{LegId, Lookup, MediaEvent, StoreReply},
    legs::{CallerGone, Leg, Seen},
    looking_up::LookingUp,
    phase::Phase,
    reason,
    ringing::{self, Ringing},
};

use sound::Sound;

/// Calls from one visit to the mailbox.
const CALLS_MAX: u8 = 10;
/// The keys that give up while it rings.
const GIVE_UP: [char; 2] = ['*', '#'];

/// While A is away from its mailbox, what ends the call that it is in leaves A's leg alone.
#[derive(Debug, Default)]
pub(crate) struct Away {
    over: Option<(Option<u16>, String)>,
}

impl Away {
    /// That call has ended, for this; the first reason counts.
    pub fn is_over(&mut self, cause: Option<u16>, why: String) {
        self.over.get_or_insert((cause, why));
    }
}

/// A subscriber has left its mailbox for a call, and comes back to it.
#[derive(Debug)]
pub(crate) struct CallingBack {
    serving: Box<Serving>,
    /// The message whose sender is called.
    index: usize,
    serves: Option<Service>,
    /// [`Phase::Ending`] once it is over.
    call: Phase,
    /// How long it rings.
    until: Instant,
    sound: Sound,
    /// The leg that has answered.
    answered: Option<LegId>,
    /// What A took before, by its codecs, and which way its streams went.
    took: (Vec<String>, [Option<Direction>; 2]),
    /// The callee is gone, and it is written down.
    left: bool,
    /// A has been offered what it had before.
    restored: bool,
}

impl Serving {
    /// The sender of a message is to be called; who that is the store is asked. Not by who has come with a number and a PIN: nobody calls
    /// at a subscriber's expense by that.
    pub(super) fn call_back(&mut self, index: usize, cx: &mut Cx) {
        let Some(from) = self.mailbox.from(index) else { return };
        let uri = match cx.sender(&from, &self.dialled.0) {
            _ if cx.invite.further.proven.is_none() => Err("who called had not proven who they are"),
            _ if self.called >= CALLS_MAX || !cx.legs.b.has_room() => Err("there were too many calls already"),
            _ if cx.legs.a != Leg::Up => Err("the caller's leg was not up"),
            uri => uri,
        };
        let uri = match uri {
            Ok(uri) => uri,
            Err(why) => return self.not_called(index, from, None, why.to_owned(), cx),
        };
        (cx.invite.request_uri, cx.invite.to, cx.invite.to_name) = (uri.clone(), uri, None);
        let Some(lookup) = cx.whom() else {
            return self.not_called(index, from, None, "the sender's URI names nobody".to_owned(), cx);
        };
        self.called = self.called.saturating_add(1);
        self.at = At::Calling(index);
        self.say(&[Line::CallingBack], cx);
        self.until = Some(cx.in_ms(REPLY_MS_MAX));
        cx.store(lookup);
    }

    /// The store does not say in time who that is. What it says later would be taken for the answer about somebody else: nobody more
    /// is called.
    pub(super) fn nobody_says_who(&mut self, index: usize, cx: &mut Cx) {
        self.called = CALLS_MAX;
        let to = cx.invite.request_uri.to_string();
        self.not_called(index, to, None, "the store did not say who that is".to_owned(), cx);
    }

    /// The store knows who is called back, or nobody does.
    pub(super) fn callee_is(mut self: Box<Self>, index: usize, reply: StoreReply, cx: &mut Cx) -> Phase {
        let to = cx.invite.request_uri.to_string();
        let lookup = match reply {
            StoreReply::Found(lookup) => Ok(lookup),
            StoreReply::NotFound if cx.invite.profile.unknown_callee == UnknownCallee::Forward => {
                Ok(Box::new(Lookup::plain(cx.plain_plan())))
            }
            StoreReply::NotFound => Err((Some(404), "that is no subscriber".to_owned())),
            StoreReply::TooManyCalls { calls_max } => {
                Err((Some(403), format!("they have {calls_max} calls, as many as they may")))
            }
            StoreReply::LookupFailed { why } => Err((None, why)),
            _ => return Phase::Serving(self),
        };
        (cx.away, cx.way) = (Some(Away::default()), None);
        let serves = cx.serves.take();
        let lookup = match lookup.and_then(|lookup| may_ring(lookup, cx)) {
            Ok(lookup) => lookup,
            Err((cause, why)) => {
                (cx.away, cx.serves) = (None, serves);
                self.not_called(index, to, cause, why, cx);
                return Phase::Serving(self);
            }
        };
        let took = (takes(cx), cx.callers_directions());
        let sound = Sound::after(&mut self, &lookup, cx);
        let until = cx.in_ms(cx.config.early_max_ms);
        let call = Ringing::begin(lookup, cx);
        let back = CallingBack {
            serving: self,
            index,
            serves,
            call,
            until,
            sound,
            answered: None,
            took,
            left: false,
            restored: false,
        };
        Box::new(back).go_on(cx)
    }

    /// Nobody is called; A hears so, and stays where it is.
    fn not_called(&mut self, index: usize, to: String, cause: Option<u16>, why: String, cx: &mut Cx) {
        self.note_call(index, to, (None, false), (cause, why), cx);
        (cx.invite.request_uri, cx.invite.to, cx.invite.to_name) = self.dialled.clone();
        self.back_at(index, &[Line::CannotCallBack], cx);
    }

    /// What became of a call back, for the record and for who watches.
    fn note_call(
        &mut self,
        index: usize,
        to: String,
        (leg, answered): (Option<u32>, bool),
        (cause, why): (Option<u16>, String),
        cx: &mut Cx,
    ) {
        let leg_told = leg.map(|leg| format!("leg {leg}: ")).unwrap_or_default();
        let mut words = why.chars();
        let first = words.next().map(|first| first.to_lowercase().to_string());
        let told = format!("{}{}", first.unwrap_or_default(), words.as_str());
        self.did.push(match leg {
            Some(_) => format!("called {to} back ({leg_told}{told})"),
            None => format!("could not call {to} back ({told})"),
        });
        cx.called_back.push(CallBackFacts {
            message_id: self.mailbox.id(index).unwrap_or_default(),
            to,
            leg,
            answered,
            cause,
            why,
        });
    }
}

/// Somebody to ring, if the callee's rules and ours let A through: its call is as any that its phone dials.
fn may_ring(mut lookup: Box<Lookup>, cx: &mut Cx) -> Result<Box<Lookup>, (Option<u16>, String)> {
    let mut stays = deciding::first(&mut lookup, cx).is_some();
    if !stays && lookup.plan.decided.first != First::Ring {
        let why = "the callee's rules send callers to the greeting";
        return Err((Some(480), why.to_owned()));
    }
    stays = stays || LookingUp::does_not_get_there(&mut lookup, cx).is_some();
    if stays {
        let over = cx.away.as_mut().and_then(|away| away.over.take());
        return Err(over.unwrap_or_default());
    }
    match ringing::nowhere_to_call(&lookup.plan, cx) {
        Some(missed) => Err((Some(missed.cause), missed.sentence)),
        None => Ok(lookup),
    }
}

impl CallingBack {
    pub fn on(mut self: Box<Self>, seen: Seen, cx: &mut Cx) -> Phase {
        let seen = match seen {
            // A message that was asked for before.
            Seen::Store(StoreReply::Mailbox(reply)) => {
                self.serving.answered(*reply, cx);
                return Phase::CallingBack(self);
            }
            seen => seen,
        };
        let rings = self.rings();
        match &seen {
            Seen::HangUp => {
                cx.end_branches(reason::OPERATOR);
                return self.end(Some(480), reason::OPERATOR, "was hung up on by the operator", cx);
            }
            Seen::Media(MediaEvent::RtpGone { leg: LegId::A }) => {
                cx.end_branches(reason::MEDIA_LOST);
                return self.end(None, reason::MEDIA_LOST, "sent nothing any more", cx);
            }
            Seen::Due if self.serving.ends_at.is_some_and(|at| cx.is_due(at)) => {
                cx.end_branches(reason::LONGEST);
                return self.end(None, reason::LONGEST, "stayed as long as a call may last", cx);
            }
            Seen::Due if rings && cx.is_due(self.until) => {
                self.give_up(
                    reason::NO_ANSWER,
                    "the callee had not answered for as long as it may ring",
                    cx,
                );
            }
            Seen::Key { leg: LegId::A, key, .. } if rings && GIVE_UP.contains(key) => {
                self.give_up(reason::NORMAL, "the caller gave up", cx);
            }
            _ => {}
        }
        let broken = match &seen {
            Seen::CallerGone(broken @ (CallerGone::NoAck | CallerGone::NoPrack | CallerGone::Lost)) => {
                Some(broken.clone())
            }
            _ => None,
        };
        if rings {
            self.sound.hear(&seen, cx);
        }
        self.call = self.call.on(seen, cx);
        if let Some(broken) = broken {
            self.leave(cx);
            cx.away = None;
            self.serving.mailbox.let_go(cx);
            return Ending::caller_broke(cx, &broken);
        }
        if let (None, Phase::Bridged(bridged)) = (self.answered, &self.call) {
            self.answered = Some(bridged.callee());
            // A's ACK is long there: it can be offered its callee's codecs.
            self.call = self.call.on(Seen::CallerAnswered, cx);
        }
        self.go_on(cx)
    }

    /// The call that A is in; `Ending` when it is over.
    pub fn call(&self) -> &Phase {
        &self.call
    }

    pub fn deadline(&self) -> Option<Instant> {
        let rings = [Some(self.until), self.sound.deadline()].into_iter().flatten();
        let rings = rings.min().filter(|_| self.rings());
        [self.call.deadline(), self.serving.ends_at, rings]
            .into_iter()
            .flatten()
            .min()
    }

    fn rings(&self) -> bool {
        self.answered.is_none() && !matches!(self.call, Phase::Ending(_))
    }

    /// Nobody is called any more.
    fn give_up(&mut self, reason: &str, why: &str, cx: &mut Cx) {
        cx.end_branches(reason);
        self.call = Ending::begin(cx, CallResult::Failed, Some(487), why);
    }

    /// The call goes on; or it has come to its end, and A to its mailbox.
    fn go_on(mut self: Box<Self>, cx: &mut Cx) -> Phase {
        if !matches!(self.call, Phase::Ending(_)) {
            if self.rings() {
                self.sound.go_on(self.serving.voice.as_ref(), cx);
            }
            return Phase::CallingBack(self);
        }
        if cx.legs.a != Leg::Up {
            return self.end(None, reason::NORMAL, "hung up", cx);
        }
        self.leave(cx);
        if !cx.asks_caller() && !std::mem::replace(&mut self.restored, true) {
            cx.bring_caller_back(self.took.1);
        }
        // It answers within a moment, and only then hears what is said.
        match cx.asks_caller() {
            true => Phase::CallingBack(self),
            false => self.back(cx),
        }
    }

    /// The callee is gone, whatever becomes of A.
    fn leave(&mut self, cx: &mut Cx) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let over = cx.away.as_mut().and_then(|away| away.over.take());
        let over = over.unwrap_or((None, "the caller hung up".to_owned()));
        let to = cx.invite.request_uri.to_string();
        let last = cx.record.legs.len().saturating_sub(1);
        let leg = self
            .answered
            .map_or(u32::try_from(last).unwrap_or(u32::MAX), |leg| leg.0);
        let is_answered = self.answered.is_some();
        self.serving
            .note_call(self.index, to, (Some(leg), is_answered), over, cx);
        cx.callee_left();
        // It is no news of the mailbox that a clip of the callee's could not be played.
        cx.clip_trouble = None;
    }

    /// A is with its message again.
    fn back(mut self: Box<Self>, cx: &mut Cx) -> Phase {
        (cx.away, cx.serves) = (None, self.serves);
        (cx.invite.request_uri, cx.invite.to, cx.invite.to_name) = self.serving.dialled.clone();
        if takes(cx) != self.took.0 {
            self.serving.mailbox.forget_all();
        }
        let before: &[Line] = match self.answered {
            Some(_) => &[],
            None => &[Line::NotReached],
        };
        self.serving.back_at(self.index, before, cx);
        Phase::Serving(self.serving)
    }

    /// The whole call ends.
    fn end(mut self: Box<Self>, cause: Option<u16>, reason: &str, how: &str, cx: &mut Cx) -> Phase {
        self.leave(cx);
        cx.away = None;
        cx.end_a(480, reason);
        self.serving.over(CallResult::Mailbox, cause, how, cx)
    }
}

/// The codecs that A is sent.
fn takes(cx: &Cx) -> Vec<String> {
    let agreed = cx.a.agreed.as_ref();
    let streams = agreed.into_iter().flat_map(|agreed| agreed.streams());
    streams.map(|stream| format!("{:?}", stream.format)).collect()
}

impl Cx {
    /// Whether A is in a call that it comes back from.
    pub fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// A sender as A would dial it: a number at the host that A has dialled, as its phone would. Emergencies and services are dialled by
    /// people alone: who called is what the caller said of itself.
    ///
    /// # Errors
    /// Nobody is to be called, or not so.
    fn sender(&self, from: &str, dialled: &Uri) -> Result<Uri, &'static str> {
        let calling = segue_policy::Calling {
            from: from.to_owned(),
            at_ms: self.now.wall.0,
        };
        if calling.is_anonymous() {
            return Err("the sender is anonymous");
        }
        let said: Uri = from
            .parse()
            .map_err(|_| "the sender's URI is none that can be called")?;
        let uri = match crate::onward::number(&said) {
            Some(number) => at_host(&number, dialled).ok_or("the sender's number cannot be called")?,
            None if said.is_sip() && said.user().is_some_and(|user| !user.is_empty()) => said.clone(),
            None => return Err("the sender's URI is none that can be called"),
        };
        match self.is_for_people(&said) || self.is_for_people(&uri) {
            true => Err("the sender's number is one of emergencies or services"),
            false => Ok(uri),
        }
    }

    /// An emergency number, also as the numbering writes it, or a service code.
    fn is_for_people(&self, uri: &Uri) -> bool {
        let profile = &self.invite.profile;
        let (text, number) = (uri.to_string(), crate::onward::number(uri));
        if profile.emergency(&text, number.as_deref(), None).is_some() {
            return true;
        }
        let e164 = profile.normalise(number.as_deref().unwrap_or(&text)).number;
        let of = |own: &String| profile.normalise(own).number;
        let is_emergency = e164.is_some() && profile.emergency_numbers.iter().any(|own| of(own) == e164);
        let user = uri.user().map(|user| user.into_owned());
        is_emergency || profile.service(user.as_deref().unwrap_or(&text)).is_some()
    }
}

/// A number at the host, and port, of a URI.
fn at_host(number: &str, dialled: &Uri) -> Option<Uri> {
    let text = dialled.to_string();
    match text.split_once('@') {
        Some((_, place)) => {
            let place = place.split([';', '?']).next()?;
            format!("sip:{number}@{place}").parse().ok()
        }
        None => format!("tel:{number}").parse().ok(),
    }
}
