//! A subscriber serves itself: do not disturb, the mailbox, greetings. There is no callee: A is answered at once, and what it types
//! decides what it hears and sees next (docs/mailbox.md).

mod calling_back;
mod greetings;
mod lines;
mod listening;
mod typing;

use std::time::Instant;

use segue_mailbox::ClipInfo;
use segue_policy::Service;
use segue_records::CallResult;
use segue_sip_wire::Uri;

use crate::{
    cx::Cx,
    ending::Ending,
    io::{
        ClipUse, LegId, Lookup, MailboxAction, MailboxReply, MediaAction, MediaEvent, Opened, Source, StoreAction,
        StoreReply,
    },
    legs::{CallerGone, Seen},
    phase::Phase,
    reason,
    renditions::clip_use,
    saying::{Saying, Voice},
};

pub(crate) use calling_back::{Away, CallingBack};
use greetings::Recording;
use lines::Line;
use listening::{Listening, Mailbox};
use typing::Typing;

/// Who says nothing is asked again after this long.
const KEY_MS_MAX: u64 = 8_000;
/// And let go after so many times.
const SILENT_MAX: u8 = 3;
/// The store, or who works for it, has this long to answer.
const REPLY_MS_MAX: u64 = 15_000;
/// What plays may end this long after its playing time.
const PLAYED_LATE_MS_MAX: u64 = 5_000;
/// Wrong numbers and PINs in one call.
const LOGINS_MAX: u8 = 3;

/// A subscriber serves itself.
#[derive(Debug)]
pub(crate) struct Serving {
    service: Service,
    lookup: Box<Lookup>,
    /// Who it is, once that is proven.
    user: Option<String>,
    at: At,
    /// How A is spoken to, where prompts are prepared.
    voice: Option<Voice>,
    /// Something is being said, at the longest until then.
    saying: Option<Instant>,
    /// Which turn of it.
    turn: Option<Saying>,
    /// When what is waited for has not come.
    until: Option<Instant>,
    /// How often in a row nothing was typed.
    silent: u8,
    /// Numbers and PINs that were wrong.
    wrong: u8,
    mailbox: Mailbox,
    /// The longest call that the profile allows.
    ends_at: Option<Instant>,
    /// What was done, for the last sentence.
    did: Vec<String>,
    /// What A has dialled: Request-URI and To.
    dialled: (Uri, Uri, Option<String>),
    /// Senders that were called back.
    called: u8,
}

/// Where in the menus it is.
#[derive(Debug)]
enum At {
    /// A offered nothing: our offer is in the 200, the ACK brings the answer.
    Agreeing,
    /// Digits are typed.
    Typing(Typing),
    /// For the store's answer.
    Waiting(Awaited),
    /// How many messages there are is being said; they follow.
    Counts,
    /// The main menu.
    Menu,
    /// A message.
    Listening(Listening),
    /// Whom the sender of the message of this place is: the store is asked.
    Calling(usize),
    /// The menu of greetings.
    Greetings,
    /// A greeting is recorded.
    Recording(Recording),
    /// Clips are chosen from: which.
    Clips(usize),
    /// The last words.
    Leaving,
}

/// What the store is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Awaited {
    Voice,
    LoggingIn,
    Dnd,
    Opening,
    /// And what is said when it is done, before the menu of greetings.
    Setting(Line),
}

impl Serving {
    /// A has its ports, and maybe our answer.
    pub fn begin(service: Service, lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        let call_max_ms = cx.invite.profile.call_max_ms;
        let mut serving = Serving {
            service,
            lookup,
            user: cx.invite.further.proven.clone(),
            at: At::Agreeing,
            voice: None,
            saying: None,
            turn: None,
            until: None,
            silent: 0,
            wrong: 0,
            mailbox: Mailbox::default(),
            ends_at: (call_max_ms > 0).then(|| cx.in_ms(call_max_ms)),
            did: Vec::new(),
            dialled: (
                cx.invite.request_uri.clone(),
                cx.invite.to.clone(),
                cx.invite.to_name.clone(),
            ),
            called: 0,
        };
        if cx.a.answer().is_none()
            && let Err(error) = cx.settle_for_mailbox(&serving.lookup)
        {
            cx.end_a(488, reason::NO_COMMON_MEDIA);
            let why = format!("The caller could neither hear nor see anything: {error}");
            return Ending::begin(cx, CallResult::Failed, Some(488), why);
        }
        let agreed = cx.a.answer().is_some();
        cx.answer_a();
        if agreed {
            serving.enter(cx);
        }
        Phase::Serving(Box::new(serving))
    }

    /// A is there, or has said who it is: how is it spoken to?
    fn enter(&mut self, cx: &mut Cx) {
        let user = self.user.clone();
        self.ask(MailboxAction::Voice { user }, Awaited::Voice, cx);
    }

    /// What was called, once it is known for whom.
    fn serve(&mut self, cx: &mut Cx) {
        let Some(user) = self.user.clone() else {
            return self.ask_number(cx);
        };
        match self.service {
            Service::DndOn | Service::DndOff => {
                let on = self.service == Service::DndOn;
                self.ask(MailboxAction::SetDnd { user, on }, Awaited::Dnd, cx);
            }
            Service::Mailbox | Service::Greetings => self.ask(MailboxAction::Open { user }, Awaited::Opening, cx),
        }
    }

    pub fn on(mut self: Box<Self>, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::CallerGone(CallerGone::HungUp { .. } | CallerGone::Cancelled) => {
                return self.over(CallResult::Mailbox, None, "hung up", cx);
            }
            Seen::CallerGone(broken) => {
                self.leave_mailbox(cx);
                return Ending::caller_broke(cx, &broken);
            }
            Seen::HangUp => {
                self.leave_mailbox(cx);
                cx.end_a(480, reason::OPERATOR);
                return self.over(CallResult::Mailbox, Some(480), "was hung up on by the operator", cx);
            }
            Seen::Media(MediaEvent::RtpGone { leg: LegId::A }) => {
                cx.end_a(480, reason::MEDIA_LOST);
                return self.over(CallResult::Mailbox, None, "sent nothing any more", cx);
            }
            Seen::Due if self.ends_at.is_some_and(|at| cx.is_due(at)) => {
                cx.end_a(480, reason::LONGEST);
                return self.over(CallResult::Mailbox, None, "stayed as long as a call may last", cx);
            }
            Seen::CallerAnswered if matches!(self.at, At::Agreeing) => {
                if cx.a.answer().is_none() {
                    cx.end_a(488, reason::NO_COMMON_MEDIA);
                    let why = "The caller's answer to our offer could not be used";
                    return Ending::begin(cx, CallResult::Failed, Some(488), why);
                }
                self.enter(cx);
            }
            Seen::Key { leg: LegId::A, key, .. } => {
                self.silent = 0;
                self.pressed(key, cx);
            }
            Seen::Store(StoreReply::Mailbox(reply)) => self.answered(*reply, cx),
            Seen::Store(reply) => match self.at {
                At::Calling(index) => return self.callee_is(index, reply, cx),
                _ => return Phase::Serving(self),
            },
            Seen::Media(MediaEvent::Said { .. } | MediaEvent::SayFailed { .. })
                if self.turn.is_some_and(|turn| turn.is_over(&seen, cx)) =>
            {
                self.said(cx);
            }
            Seen::Media(event) => self.media(event, cx),
            Seen::Due => self.due(cx),
            _ => {}
        }
        if matches!(self.at, At::Leaving) && self.saying.is_none() {
            cx.end_a(480, reason::NORMAL);
            return self.over(CallResult::Mailbox, None, "was served", cx);
        }
        Phase::Serving(self)
    }

    /// Nothing is played any more: what was is noted, what was marked is deleted.
    fn leave_mailbox(&mut self, cx: &mut Cx) {
        if let At::Listening(listening) = &self.at {
            self.mailbox.note_played(listening, cx);
        }
        self.mailbox.let_go(cx);
    }

    pub fn deadline(&self) -> Option<Instant> {
        let heard = match &self.at {
            At::Listening(listening) => self.mailbox.heard_due(listening),
            _ => None,
        };
        [self.saying, self.until, heard, self.ends_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn due(&mut self, cx: &mut Cx) {
        if let At::Listening(listening) = &self.at {
            self.mailbox.note_played(listening, cx);
        }
        if self.saying.is_some_and(|at| cx.is_due(at)) {
            return self.said(cx);
        }
        if self.until.is_some_and(|at| cx.is_due(at)) {
            self.until = None;
            self.waited(cx);
        }
    }

    /// What was said has come to its end.
    fn said(&mut self, cx: &mut Cx) {
        (self.saying, self.turn) = (None, None);
        match &self.at {
            At::Counts => self.go_to(0, cx),
            At::Listening(_) => self.said_of_message(cx),
            At::Recording(_) => self.said_before_recording(cx),
            At::Clips(at) => self.show_clip(*at, cx),
            At::Typing(_) | At::Menu | At::Greetings => self.until = Some(cx.in_ms(KEY_MS_MAX)),
            At::Agreeing | At::Waiting(_) | At::Calling(_) | At::Leaving => {}
        }
    }

    /// Nothing came for too long.
    fn waited(&mut self, cx: &mut Cx) {
        match &self.at {
            At::Waiting(_) => self.leave(&[Line::Trouble], cx),
            At::Listening(_) => self.waited_at_message(cx),
            At::Calling(index) => self.nobody_says_who(*index, cx),
            At::Recording(_) => self.waited_for_recording(cx),
            At::Typing(typing) if typing.has_digits() => self.typed('#', cx),
            _ => {
                self.silent = self.silent.saturating_add(1);
                if self.silent >= SILENT_MAX {
                    return self.leave(&[Line::Goodbye], cx);
                }
                self.repeat(cx);
            }
        }
    }

    /// Once more what can be done here.
    fn repeat(&mut self, cx: &mut Cx) {
        match &self.at {
            At::Typing(typing) => self.say(&[typing.asks()], cx),
            At::Greetings => self.say(&[Line::GreetingsMenu], cx),
            At::Clips(_) => self.say(&[Line::ClipMenu], cx),
            _ => self.menu(&[], cx),
        }
    }

    fn pressed(&mut self, key: char, cx: &mut Cx) {
        match &self.at {
            At::Typing(_) => self.typed(key, cx),
            At::Counts | At::Menu => match key {
                '1' | '#' => self.go_to(0, cx),
                '0' => self.greetings(&[], cx),
                '*' => self.menu(&[], cx),
                _ => {}
            },
            At::Listening(_) => self.pressed_at_message(key, cx),
            At::Greetings => self.pressed_at_greetings(key, cx),
            At::Recording(_) => self.pressed_at_recording(key, cx),
            At::Clips(at) => self.pressed_at_clip(*at, key, cx),
            At::Agreeing | At::Waiting(_) | At::Calling(_) | At::Leaving => {}
        }
    }

    /// Whether the store is asked whom A calls back.
    pub fn asks_whom_to_call_back(&self) -> bool {
        matches!(self.at, At::Calling(_))
    }

    fn answered(&mut self, reply: MailboxReply, cx: &mut Cx) {
        match (&self.at, reply) {
            (At::Waiting(Awaited::Voice), MailboxReply::Voice { language, prompts }) => {
                self.voice = prompts.map(|prompts| Voice { language, prompts });
                self.serve(cx);
            }
            (At::Waiting(Awaited::LoggingIn), MailboxReply::LoggedIn { user }) => {
                self.user = Some(user);
                self.enter(cx);
            }
            (At::Waiting(Awaited::LoggingIn), MailboxReply::NotLoggedIn) => self.not_logged_in(cx),
            (At::Waiting(Awaited::Dnd), MailboxReply::Done) => {
                let (line, did) = match self.service {
                    Service::DndOn => (Line::DndOn, "is not to be disturbed"),
                    _ => (Line::DndOff, "may be disturbed again"),
                };
                self.did.push(did.to_owned());
                self.leave(&[line], cx);
            }
            (At::Waiting(Awaited::Opening), MailboxReply::Opened(opened)) => self.opened(*opened, cx),
            (At::Waiting(Awaited::Setting(line)), MailboxReply::Done) => {
                let line = line.clone();
                self.greetings(&[line], cx);
            }
            (At::Waiting(Awaited::Setting(_)), MailboxReply::Failed { .. }) => self.greetings(&[Line::Trouble], cx),
            (At::Waiting(_), MailboxReply::Failed { .. }) => self.leave(&[Line::Trouble], cx),
            (_, MailboxReply::Ready { message_id, clip }) => self.ready(message_id, Ok(clip), cx),
            (_, MailboxReply::NotReady { message_id, why }) => self.ready(message_id, Err(why), cx),
            (At::Recording(_), MailboxReply::Recorded { clip }) => self.made(clip, cx),
            (At::Recording(_), MailboxReply::Failed { .. }) => self.greetings(&[Line::Trouble], cx),
            _ => {}
        }
    }

    fn opened(&mut self, opened: Opened, cx: &mut Cx) {
        self.mailbox = Mailbox::of(opened);
        if self.service == Service::Greetings {
            return self.greetings(&[], cx);
        }
        self.mailbox.prepare(0, cx);
        let counts = self.mailbox.counts();
        if self.mailbox.is_empty() {
            return self.menu(&[counts], cx);
        }
        self.at = At::Counts;
        self.say(&[counts], cx);
    }

    fn media(&mut self, event: MediaEvent, cx: &mut Cx) {
        match (&self.at, event) {
            (At::Listening(_), event) => self.media_of_message(&event, cx),
            (At::Recording(_), event) => self.media_of_recording(event, cx),
            (
                At::Clips(_) | At::Greetings,
                MediaEvent::Played {
                    source: Source::Greeting,
                }
                | MediaEvent::PlayFailed {
                    source: Source::Greeting,
                    ..
                },
            ) => self.until = Some(cx.in_ms(KEY_MS_MAX)),
            _ => {}
        }
    }

    /// The main menu, after these words.
    fn menu(&mut self, before: &[Line], cx: &mut Cx) {
        self.mailbox.let_go(cx);
        self.at = At::Menu;
        self.say(&[before, &[Line::MainMenu]].concat(), cx);
    }

    /// The last words; then A is hung up on.
    fn leave(&mut self, lines: &[Line], cx: &mut Cx) {
        self.mailbox.let_go(cx);
        self.at = At::Leaving;
        self.say(lines, cx);
    }

    /// Asks the store, and waits.
    fn ask(&mut self, action: MailboxAction, awaited: Awaited, cx: &mut Cx) {
        cx.store(StoreAction::Mailbox(Box::new(action)));
        self.at = At::Waiting(awaited);
        (self.saying, self.turn) = (None, None);
        self.until = Some(cx.in_ms(REPLY_MS_MAX));
    }

    /// Plays a clip from its start, for as long as that takes; `false`: nothing of it can be played.
    fn play(&mut self, source: Source, clip: &ClipInfo, cx: &mut Cx) -> bool {
        let Some(clip_use) = usable(clip, cx) else {
            return false;
        };
        (self.saying, self.turn) = (None, None);
        self.until = Some(cx.in_ms(clip.duration_ms.saturating_add(PLAYED_LATE_MS_MAX)));
        cx.media(MediaAction::Play {
            source,
            clip: clip_use,
            looping: false,
        });
        true
    }

    /// The call's end; its legs are ended by who calls this, or by the last step.
    fn over(mut self: Box<Self>, result: CallResult, cause: Option<u16>, how: &str, cx: &mut Cx) -> Phase {
        self.leave_mailbox(cx);
        cx.recording = false;
        let who = match &self.user {
            Some(user) => format!("{user} called {}", lines::service(self.service)),
            None => format!(
                "Somebody who did not prove who they are called {}",
                lines::service(self.service)
            ),
        };
        let mut did = std::mem::take(&mut self.did);
        did.extend(self.mailbox.told());
        did.push(how.to_owned());
        Ending::begin(cx, result, cause, format!("{who}, {}", did.join(", ")))
    }
}

/// A clip as A can be played it.
fn usable(clip: &ClipInfo, cx: &Cx) -> Option<ClipUse> {
    clip_use(clip, cx.a.answer()?)
}
