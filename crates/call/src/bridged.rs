//! A and B talk.

use std::time::Instant;

use segue_records::CallResult;

use crate::{
    cx::Cx,
    ending::Ending,
    io::{ClipUse, LegId, Lookup, MediaAction, MediaEvent},
    legs::{CallerGone, Seen},
    missed::seconds,
    phase::Phase,
    reason,
    renditions::clip_use,
};

/// A and B talk.
#[derive(Debug)]
pub(crate) struct Bridged {
    callee: LegId,
    lookup: Box<Lookup>,
    /// When the call has lasted as long as it may.
    until: Option<Instant>,
    /// When A is asked once more for its callee's codecs.
    align_at: Option<Instant>,
    /// How often it was asked.
    asked: u8,
}

/// How often A is asked for its callee's codecs, where its own offers come first.
const ASKED_MAX: u8 = 3;
/// Until it is asked once more, milliseconds ("between 0 and 2 seconds", RFC 3261 §14.1).
const ASK_AGAIN_MS: u64 = 1_000;

impl Bridged {
    pub fn callee(&self) -> LegId {
        self.callee
    }

    /// The callee has answered on this leg and its streams are configured.
    pub fn begin(callee: LegId, lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        cx.answer_a();
        let longest_ms = cx.invite.profile.call_max_ms;
        let until = (longest_ms > 0 && cx.invite.emergency.is_none()).then(|| cx.in_ms(longest_ms));
        let bridged = Bridged {
            callee,
            lookup,
            until,
            align_at: None,
            asked: 0,
        };
        // An offer of ours in the 200 has its answer with the ACK.
        if !cx.awaits_caller() {
            bridged.connect(cx);
        }
        Phase::Bridged(bridged)
    }

    fn connect(&self, cx: &mut Cx) {
        let callee = cx.party(self.callee).and_then(|(_, agreed)| agreed.audio.clone());
        let caller = cx.a.agreed.as_ref().and_then(|agreed| agreed.audio.clone());
        let same = callee
            .zip(caller)
            .is_none_or(|(one, other)| one.format.codec.is_same_kind(other.format.codec));
        if same {
            cx.end_transcoder();
        }
        if let Some(poster) = self.poster(cx) {
            cx.media(MediaAction::Poster { clip: poster });
        }
        cx.media(MediaAction::Bridge { leg: self.callee });
        cx.bridged = Some(self.callee);
    }

    /// A picture for A, should nothing else be shown.
    fn poster(&self, cx: &Cx) -> Option<ClipUse> {
        let answer = cx.a.answer()?;
        let clips = [&self.lookup.clip, &self.lookup.greeting, &self.lookup.beep];
        let pictures = clips.into_iter().flatten().filter_map(|clip| clip_use(clip, answer));
        let mut pictures = pictures.filter(|clip| clip.video.is_some());
        pictures.next().map(|clip| ClipUse { audio: None, ..clip })
    }

    pub fn deadline(&self) -> Option<Instant> {
        [self.until, self.align_at].into_iter().flatten().min()
    }

    /// Bring A to its callee's codecs, where it has others. The call ends where they cannot come together.
    fn align(mut self, cx: &mut Cx) -> Phase {
        self.align_at = None;
        if cx.bridged.is_none() || cx.stays_apart {
            return Phase::Bridged(self);
        }
        if !cx.is_apart() {
            cx.end_transcoder();
            return Phase::Bridged(self);
        }
        if self.asked < ASKED_MAX {
            self.asked += 1;
            if cx.align_caller() {
                return Phase::Bridged(self);
            }
            // One of them is changing something; it may be just that.
            if cx.passing.is_some() {
                self.align_at = Some(cx.in_ms(ASK_AGAIN_MS));
                return Phase::Bridged(self);
            }
        }
        self.leave_apart(cx)
    }

    /// A keeps its codecs.
    fn leave_apart(self, cx: &mut Cx) -> Phase {
        cx.stays_apart = true;
        if !cx.needs_transcoder() {
            cx.end_transcoder();
        }
        if !cx.is_deaf() {
            return Phase::Bridged(self);
        }
        match cx.why_not_transcoded().map(str::to_owned) {
            Some(why) => no_transcoder(cx, &why),
            None => {
                cx.end_branches(reason::NO_COMMON_MEDIA);
                cx.end_a(488, reason::NO_COMMON_MEDIA);
                over(cx, "The callee answered; the caller does not take the callee's codec")
            }
        }
    }

    /// A's ACK is there: from now on it can be offered something.
    fn acked(self, cx: &mut Cx) -> Phase {
        if cx.bridged.is_none() {
            if cx.a.answer().is_none() {
                cx.end_branches(reason::NO_COMMON_MEDIA);
                cx.end_a(488, reason::NO_COMMON_MEDIA);
                let why = "The callee answered; the caller's answer to our offer could not be used";
                return Ending::begin(cx, CallResult::Failed, Some(488), why);
            }
            self.connect(cx);
            cx.align(LegId::A);
        }
        if cx.a.foreign_video.is_some() {
            cx.align(self.callee);
        }
        self.align(cx)
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::CallerGone(CallerGone::HungUp { reason }) => {
                cx.end_branches(reason::passed_on(reason.as_deref()));
                match reason::is_expired(reason.as_deref()) {
                    true => over(
                        cx,
                        "The callee answered; then the caller's session was no longer refreshed",
                    ),
                    false => over(cx, "The callee answered; the caller hung up"),
                }
            }
            Seen::CallerGone(CallerGone::Cancelled) => {
                let why = cx.why_given_up.take();
                cx.end_branches(reason::given_up(why.as_deref()));
                Ending::begin(
                    cx,
                    CallResult::Abandoned,
                    Some(487),
                    "The caller hung up while the callee answered",
                )
            }
            Seen::CallerGone(broken) => Ending::caller_broke(cx, &broken),
            Seen::CalleeGone { leg, reason } if leg == self.callee => {
                cx.end_a(480, reason::passed_on(reason.as_deref()));
                match reason::is_expired(reason.as_deref()) {
                    true => over(cx, "The callee answered; then its session was no longer refreshed"),
                    false => over(cx, "The callee answered and hung up"),
                }
            }
            Seen::Media(MediaEvent::RtpGone { leg }) => {
                let who = if leg == LegId::A { "caller" } else { "callee" };
                cx.end_branches(reason::MEDIA_LOST);
                cx.end_a(480, reason::MEDIA_LOST);
                over(
                    cx,
                    &format!("The callee answered; then no more RTP came from the {who}"),
                )
            }
            Seen::Key { leg, key, told } if cx.bridged.is_some() => {
                let to = if leg == LegId::A { self.callee } else { LegId::A };
                cx.pass_key_on(to, key, told);
                Phase::Bridged(self)
            }
            Seen::Due if self.until.is_some_and(|at| cx.is_due(at)) => {
                cx.end_branches(reason::LONGEST);
                cx.end_a(480, reason::LONGEST);
                let longest = seconds(cx.invite.profile.call_max_ms);
                let why = format!("The callee answered; the call had lasted as long as it may, {longest}");
                over(cx, &why)
            }
            Seen::Due if self.align_at.is_some_and(|at| cx.is_due(at)) => self.align(cx),
            Seen::CallerAligned { in_vain: true } if self.asked < ASKED_MAX => Phase::Bridged(Bridged {
                align_at: Some(cx.in_ms(ASK_AGAIN_MS)),
                ..self
            }),
            Seen::CallerAligned { .. } if cx.is_apart() => self.leave_apart(cx),
            Seen::CallerAligned { .. } => {
                cx.end_transcoder();
                Phase::Bridged(self)
            }
            // While A may still be brought to its callee's codec nobody needs it.
            Seen::Media(MediaEvent::NoTranscoder { why, .. }) if cx.stays_apart && cx.is_deaf() => {
                no_transcoder(cx, &why)
            }
            Seen::Media(MediaEvent::TranscoderLost { .. }) if cx.stays_apart && cx.is_deaf() => {
                no_transcoder(cx, "the transcoding process ended again and again")
            }
            Seen::HangUp => {
                cx.end_branches(reason::OPERATOR);
                cx.end_a(480, reason::OPERATOR);
                over(cx, "The callee answered; the operator ended the call")
            }
            Seen::CallerAnswered => self.acked(cx),
            Seen::Pracked
            | Seen::CallerChanged
            | Seen::Key { .. }
            | Seen::CalleeProgress { .. }
            | Seen::EarlyMediaChanged
            | Seen::CalleeAnswered { .. }
            | Seen::CalleeFailed { .. }
            | Seen::CalleeRedirected { .. }
            | Seen::CalleeGone { .. }
            | Seen::Media(_)
            | Seen::Store(_)
            | Seen::MayRecord
            | Seen::MailboxFull { .. }
            | Seen::Due => Phase::Bridged(self),
        }
    }
}

/// Nobody makes the sound of the two of each other any more.
fn no_transcoder(cx: &mut Cx, why: &str) -> Phase {
    cx.end_branches(reason::NO_TRANSCODING);
    cx.end_a(488, reason::NO_TRANSCODING);
    over(
        cx,
        &format!("The callee answered; the two have no codec in common ({why})"),
    )
}

/// The end of a bridge. A caller whose 200 was held back to the end (RFC 3262 §3) was never answered.
fn over(cx: &mut Cx, why: &str) -> Phase {
    match cx.record.answered_at {
        Some(_) => Ending::begin(cx, CallResult::Answered, None, why),
        None => {
            let why = format!("{why}; what the caller was told before the answer, it never acknowledged");
            Ending::begin(cx, CallResult::Failed, Some(480), why)
        }
    }
}
