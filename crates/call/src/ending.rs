//! The legs are being ended; when the last is gone the call says `Ended`.

use segue_records::CallResult;

use crate::{cx::Cx, io::RefuseInfo, legs::CallerGone, missed::Missed, phase::Phase, reason};

/// All is decided.
#[derive(Debug)]
pub(crate) struct Ending;

impl Ending {
    /// Everything ends now: what of the legs is not ended yet, and the media. Of a call that A makes from its mailbox only the callee's side.
    pub fn begin(cx: &mut Cx, result: CallResult, cause: Option<u16>, why: impl Into<String>) -> Phase {
        let mut why: String = why.into();
        if let Some(away) = &mut cx.away {
            away.is_over(cause, why);
            cx.end_branches(reason::NORMAL);
            return Phase::Ending(Ending);
        }
        if let Some(trouble) = cx.clip_trouble.take() {
            why.push_str(&format!(" (the clip was not played: {trouble})"));
        }
        if let Some(trouble) = cx.why_no_pictures() {
            why.push_str(&format!(" (no pictures crossed: {trouble})"));
        }
        why.push('.');
        cx.record.result = result;
        cx.record.cause = cause;
        cx.record.why = why;
        cx.give_back_place();
        // Each phase ends its legs with the reason that fits; this is for a leg that none has.
        cx.end_branches(reason::NORMAL);
        cx.end_a(480, reason::NORMAL);
        cx.close_media();
        Phase::Ending(Ending)
    }

    /// The caller went away, before any answer, in a way that ends the call.
    pub fn caller_left_early(cx: &mut Cx, gone: CallerGone) -> Phase {
        let why = cx.why_given_up.take();
        cx.end_branches(match gone {
            CallerGone::Cancelled | CallerGone::HungUp { .. } => reason::given_up(why.as_deref()),
            CallerGone::NoPrack | CallerGone::NoAck | CallerGone::Lost => reason::OTHER_LEG_BROKE,
        });
        let invited = cx.record.invited_at.is_some();
        match gone {
            CallerGone::Cancelled | CallerGone::HungUp { .. } if invited => Ending::begin(
                cx,
                CallResult::Abandoned,
                Some(487),
                "The caller hung up before the callee answered",
            ),
            CallerGone::Cancelled | CallerGone::HungUp { .. } => Ending::begin(
                cx,
                CallResult::AbandonedWhileHeld,
                Some(487),
                "The caller hung up before the callee was called; the callee was not disturbed",
            ),
            broken => Ending::caller_broke(cx, &broken),
        }
    }

    /// The caller's leg broke.
    pub fn caller_broke(cx: &mut Cx, gone: &CallerGone) -> Phase {
        cx.end_branches(reason::OTHER_LEG_BROKE);
        let (cause, why) = match gone {
            CallerGone::NoPrack => (
                Some(504),
                "The caller did not acknowledge our reliable response (no PRACK)",
            ),
            CallerGone::NoAck => (Some(408), "The caller did not acknowledge our 200 (no ACK)"),
            CallerGone::Lost | CallerGone::Cancelled | CallerGone::HungUp { .. } => {
                (Some(500), "The caller's leg broke off")
            }
        };
        Ending::begin(cx, CallResult::Failed, cause, why)
    }

    /// The call went in a circle further on.
    pub fn in_a_circle(missed: Missed, cx: &mut Cx) -> Phase {
        cx.end_branches(reason::NORMAL);
        cx.refuse_a_with(RefuseInfo {
            status: missed.cause,
            said: missed.said,
            ..RefuseInfo::default()
        });
        Ending::begin(cx, CallResult::Failed, Some(missed.cause), missed.sentence)
    }

    /// A callee who is no subscriber did not take the call: what it said goes to the caller as it came.
    pub fn as_it_came(missed: Missed, cx: &mut Cx) -> Phase {
        let (status, reason) = missed.as_it_came();
        let reason = reason.filter(|_| {
            !missed
                .said
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("Reason"))
        });
        cx.refuse_a_with(RefuseInfo {
            status,
            reason: reason.map(str::to_owned),
            warning: missed.warning.map(|warning| warning.to_string()),
            said: missed.said,
            ..RefuseInfo::default()
        });
        Ending::begin(cx, CallResult::Failed, Some(missed.cause), missed.sentence)
    }

    /// The early phase is over, and our answer was never acknowledged.
    pub fn never_pracked(cx: &mut Cx) -> Phase {
        cx.refuse_a(504, None, None);
        Ending::caller_broke(cx, &CallerGone::NoPrack)
    }

    /// The operator ended the call before an answer.
    pub fn by_operator(cx: &mut Cx) -> Phase {
        cx.end_branches(reason::OPERATOR);
        cx.end_a(480, reason::OPERATOR);
        Ending::begin(
            cx,
            CallResult::Rejected,
            Some(480),
            "The operator ended the call before it was answered",
        )
    }
}
