//! What holds between the legs: the hold, the packet path, the record, who is told of whose end.

use std::collections::BTreeMap;

use segue_call::{LegId, MediaAction, MediaEvent, Source, StoreAction};
use segue_mailbox::StopCause;
use segue_records::{CallRecord, CallResult};

use super::{Marks, Said, View};
use crate::{
    dice::{MS, Time},
    phone::TRIED,
    store_model::CLIP_MS,
    store_model::Kept,
    world::{Party, Seen},
};

impl<'a> View<'a> {
    /// B is invited when the hold has passed, not before, and never after A has gone.
    pub(super) fn hold(&self, record: &CallRecord, marks: &mut Marks) -> Result<(), String> {
        let sent = self.b.iter().find(|s| s.is(true, "INVITE")).map(|s| s.at);
        let to_b = sent.into_iter().chain(self.unsent_to_b()).min();
        let gone = self
            .a
            .iter()
            .find(|s| s.is(false, "CANCEL") || s.is(false, "BYE"))
            .map(|s| s.at);
        if let (Some(invited), Some(gone)) = (sent, gone) {
            hold!(invited <= gone, "B was invited after A had gone");
        }
        let held = self.held_on();
        let first = self
            .events()
            .find(|(_, e)| **e == MediaEvent::FirstPacket { source: held })
            .map(|(at, _)| at);
        let skip = |e: &MediaEvent| match e {
            MediaEvent::Dtmf { leg, key } => (*leg, *key) == (LegId::A, '#'),
            MediaEvent::PlayFailed { source, .. } => *source == held,
            _ => false,
        };
        let skipped = self
            .events()
            .find(|(at, e)| skip(e) && to_b.is_none_or(|b| *at <= b))
            .map(|(at, _)| at);
        let played = self.actions().any(|(at, a)| {
            matches!(a, MediaAction::Play { source, .. } if *source == held) && to_b.is_none_or(|b| at <= b)
        });
        let planned = self.plan().map_or(0, |p| p.hold_ms);
        let stars = self.events().filter(|(_, e)| {
            let (leg, key) = (LegId::A, '*');
            **e == MediaEvent::Dtmf { leg, key }
        });
        let star = stars.map(|(at, _)| at).find(|at| to_b.is_none_or(|b| *at <= b));
        // Within the leasing of ports for B it may be too late.
        let in_doubt = star.zip(to_b).is_some_and(|(star, b)| star + 10 * MS > b);
        let asked = match star {
            Some(_) if !in_doubt => planned.next_multiple_of(CLIP_MS),
            _ => planned,
        };
        let stuck = self.world.setup.scenarios[self.call].media.stuck == Some(held);
        if let Some(invited) = to_b
            && played
            && asked > 0
            && skipped.is_none()
            && !stuck
            && !in_doubt
        {
            let first = first.ok_or("B was invited though the clip had not begun")?;
            let kept = (invited - first) / MS;
            hold!(kept >= asked, "held for {kept} ms of {asked}");
            // Leasing ports for B takes the model up to 6 ms.
            hold!(kept <= asked + 8, "held for {kept} ms, asked {asked}");
            hold!(
                record.hold_ms == Some(kept),
                "hold_ms {:?}, seen {kept}",
                record.hold_ms
            );
            let invite = self.b.iter().find(|s| s.is(true, "INVITE"));
            let note = invite.map(|s| (s.msg.header("subject").is_some(), s.msg.header("call-info").is_some()));
            let told = star.is_some();
            hold!(
                note.is_none_or(|note| note == (told, told)),
                "B was told of a caller who stays: {note:?}"
            );
            marks.insert(if told { "hold prolonged" } else { "hold kept" }.into());
            marks.insert(format!("held on {held:?}"));
        }
        if skipped.is_some() && to_b.is_some() && asked > 0 {
            marks.insert("hold cut short".into());
        }
        Ok(())
    }

    /// What this caller is held on: it goes round. Where that cannot be it is the clip, as far as anything is.
    fn held_on(&self) -> Source {
        let round = self.actions().find_map(|(_, action)| match action {
            MediaAction::Play {
                source, looping: true, ..
            } => Some(*source),
            _ => None,
        });
        round.unwrap_or(Source::Clip)
    }

    pub(super) fn unsent_to_b(&self) -> Option<Time> {
        self.world
            .log
            .iter()
            .find(|e| matches!(e.what, Seen::Unsent { party } if party == Party::B(self.callee)))
            .map(|e| e.at)
    }

    pub(super) fn media(&self, marks: &mut Marks) -> Result<(), String> {
        let opened = self.actions().any(|(_, a)| matches!(a, MediaAction::Open { .. }));
        let closed = self.actions().filter(|(_, a)| **a == MediaAction::Close).count();
        hold!(
            closed == usize::from(opened),
            "the packet path was closed {closed} times"
        );
        self.codec_changes(marks);
        let lookups = self.entries.iter().filter(|e| {
            matches!(
                e.what,
                Seen::Store {
                    action: StoreAction::Lookup { .. },
                    ..
                }
            )
        });
        hold!(lookups.count() <= 1, "looked up twice");
        for (_, action) in self.actions() {
            if let MediaAction::StopRecording { cause } = action {
                marks.insert(format!("recording ended: {cause:?}"));
                hold!(
                    *cause != StopCause::Bye || self.a.iter().any(|s| s.is(false, "BYE")),
                    "a recording ended by no BYE"
                );
            }
            if let MediaAction::Play { source, .. } = action {
                marks.insert(format!("played {source:?}"));
            }
        }
        Ok(())
    }

    /// A may change its codec while its message is recorded.
    fn codec_changes(&self, marks: &mut Marks) {
        let (mut recording, mut codec) = (false, None);
        for (_, action) in self.actions() {
            match action {
                MediaAction::Record { .. } => recording = true,
                MediaAction::StopRecording { .. } => recording = false,
                MediaAction::Configure {
                    leg: LegId::A, audio, ..
                } => {
                    let now = audio.as_ref().map(|stream| stream.format.codec);
                    if recording && codec.is_some() && now.is_some() && codec != now {
                        marks.insert("A changed its codec while its message was recorded".into());
                    }
                    codec = now.or(codec);
                }
                _ => {}
            }
        }
    }

    /// The message that a place was asked for.
    fn place(&self) -> Option<String> {
        self.entries.iter().find_map(|e| match &e.what {
            Seen::Store {
                action: StoreAction::Reserve { message_id, .. },
                ..
            } => Some(message_id.clone()),
            _ => None,
        })
    }

    /// What is written down is what was seen.
    pub(super) fn record(&self, record: &CallRecord, marks: &mut Marks) -> Result<(), String> {
        let (status, _) = self.outcome()?;
        let to_b = self.b.iter().any(|s| s.is(true, "INVITE")) || self.unsent_to_b().is_some();
        let bridged = self.actions().any(|(_, a)| matches!(a, MediaAction::Bridge { .. }));
        let recorded = self.world.recordings.get(&self.call);
        let kept = recorded.and_then(|id| self.world.ledger.0.get(id).copied());
        let result = record.result;
        marks.insert(format!("result {result:?}"));
        marks.insert(format!("phase {:?}", record.phase_reached));
        if result == CallResult::Greeted || result == CallResult::Message {
            marks.insert(format!("mailbox for {:?}", record.cause));
        }
        hold!(
            record.ended_at.is_some() && !record.why.is_empty(),
            "a record without end or reason"
        );
        hold!(
            (record.message_id.as_ref() == recorded) == (kept == Some(Kept::Deposited)) || recorded.is_none(),
            "message {:?} is {kept:?}",
            record.message_id
        );
        // One that is not deposited yet is tried again: its place waits for it. What was not synced may come late.
        let to_come = matches!(kept, Some(Kept::Refused)) || recorded.is_some() && kept.is_none();
        let place = self.place().filter(|id| self.world.places.held.contains(id));
        hold!(place.is_none() || to_come, "the place {place:?} is held for nobody");
        if place.is_some() {
            marks.insert("a place kept for a message to come".into());
        }
        hold!(
            (result == CallResult::Message) == (kept == Some(Kept::Deposited)),
            "{result:?}, and the recording is {kept:?}"
        );
        hold!(
            (result == CallResult::TooShort) == (kept == Some(Kept::Discarded)),
            "{result:?}, and the recording is {kept:?}"
        );
        hold!(
            record.invited_at.is_some() == to_b,
            "invited_at {:?}",
            record.invited_at
        );
        let ours: Vec<Option<u16>> = record.legs.iter().map(|l| l.status).collect();
        let tried = self
            .actions()
            .filter(|(_, a)| matches!(a, MediaAction::Open { leg, .. } if *leg != LegId::A))
            .count();
        hold!(record.legs.len() == 1 + tried, "{} legs", record.legs.len());
        hold!(
            ours[0] == Some(status),
            "A's leg ended with {:?}, seen {status}",
            ours[0]
        );
        hold!(record.legs[0].sip_call_id == record.sip_call_id, "A's Call-ID");
        hold!(
            record
                .legs
                .iter()
                .all(|l| l.ladder.is_empty() == l.sip_call_id.is_empty()),
            "a leg without a ladder"
        );
        if let Some(invite) = self.b.iter().find(|s| s.is(true, "INVITE")) {
            hold!(
                record.legs[1].sip_call_id == invite.msg.call_id(),
                "B's Call-ID is {:?}",
                record.legs[1].sip_call_id
            );
        }
        match result {
            CallResult::Answered => {
                // Without an offer of A's the bridge waits for its ACK, and somebody may hang up before that.
                let invite = self.a.iter().find(|s| s.is(false, "INVITE"));
                let delayed = invite.is_some_and(|s| s.msg.sdp().is_none());
                hold!((bridged || delayed) && status == 200, "answered without a bridge");
            }
            CallResult::AbandonedWhileHeld => {
                hold!(!to_b && status == 487, "B was disturbed, or A got {status}");
                marks.insert("abandoned while held".into());
            }
            CallResult::Abandoned => {
                hold!(to_b && status == 487, "abandoned with {status}");
            }
            CallResult::Rejected => {
                hold!((400..700).contains(&status), "rejected with {status}");
                marks.insert(format!("rejected {status}"));
            }
            CallResult::MailboxFull => {
                hold!(recorded.is_none(), "recorded into a full mailbox");
                hold!(
                    status == 200 || status == 480 || status == 487,
                    "a full mailbox ended with {status}"
                );
                marks.insert(format!("mailbox full {status}"));
            }
            CallResult::Mailbox => return Err("nobody calls a service in this house".to_owned()),
            CallResult::Greeted | CallResult::Message | CallResult::TooShort | CallResult::Failed => {}
        }
        Ok(())
    }

    /// Its moments are those of the wire and the packet path, its causes B's own words.
    pub(super) fn record_is_exact(&self, record: &CallRecord) -> Result<(), String> {
        let wall = |at: Option<Time>| at.map(|at| self.world.wall(at));
        let first = |said: &[Said], is: &dyn Fn(&Said) -> bool| said.iter().find(|s| is(s)).map(|s| s.at);
        let started = first(&self.a, &|s| s.is(false, "INVITE"));
        hold!(Some(record.started_at) == wall(started), "started_at");
        let sent = first(&self.b, &|s| s.is(true, "INVITE"));
        let invited = sent.into_iter().chain(self.unsent_to_b()).min();
        hold!(record.invited_at == wall(invited), "invited_at {:?}", record.invited_at);
        let held = self.held_on();
        let clip = |e: &MediaEvent| *e == MediaEvent::FirstPacket { source: held };
        let played = self.events().find(|(_, e)| clip(e)).map(|(at, _)| at);
        hold!(
            record.first_media_at.is_none() || record.first_media_at == wall(played),
            "first_media_at"
        );
        let ended = self
            .entries
            .iter()
            .find(|e| matches!(e.what, Seen::Ended { .. }))
            .map(|e| e.at);
        hold!(record.ended_at == wall(ended), "ended_at {:?}", record.ended_at);
        let (status, answered) = self.outcome()?;
        let answered = (status == 200).then_some(answered);
        hold!(
            record.answered_at == wall(answered),
            "answered_at {:?}, A got {status}",
            record.answered_at
        );
        let switched = self
            .events()
            .filter(|(_, e)| matches!(e, MediaEvent::Switched { .. }))
            .count();
        hold!(record.switches.len() <= switched, "more switches than there were");

        let Some(leg) = record.legs.get(1) else { return Ok(()) };
        // One that was mended by another INVITE is no last word.
        let mended = |word: &Said| {
            let next = |s: &Said| s.is(true, "INVITE") && s.msg.cseq().0 > word.msg.cseq().0;
            matches!(word.msg.status(), Some(420..=422)) && self.b.iter().any(next)
        };
        let word = self
            .b
            .iter()
            .find(|s| s.responds(false, "INVITE").is_some_and(|c| c >= 200) && !mended(s));
        let word = word.filter(|s| self.waited(s) && ended.is_none_or(|e| s.at <= e));
        // B's word counts while we still want it: nobody has given up before.
        let patience = self.plan().map_or(0, |p| p.no_answer_ms) * MS;
        let refused = first(&self.a, &|s| {
            s.responds(true, "INVITE").is_some_and(|c| c >= 300 && c != 482)
        });
        let operator = self
            .entries
            .iter()
            .find(|e| matches!(e.what, Seen::Hangup { .. }))
            .map(|e| e.at);
        let given_up = [invited.map(|i| i + patience), refused, operator]
            .into_iter()
            .flatten()
            .min();
        let cancelled = word.is_some_and(|w| given_up.is_some_and(|g| g <= w.at));
        match word.and_then(|s| s.msg.status()) {
            Some(200) if cancelled => hold!(leg.status == Some(200), "B's leg: {:?}, seen 200", leg.status),
            Some(status) => hold!(leg.status == Some(status), "B's leg: {:?}, seen {status}", leg.status),
            None => hold!(
                matches!(leg.status, None | Some(408 | 487 | 503)),
                "B's leg: {:?}, nothing seen",
                leg.status
            ),
        }
        if let Some(status) = word.and_then(|s| s.msg.status()).filter(|s| *s >= 300 && !cancelled)
            && matches!(
                record.result,
                CallResult::Greeted | CallResult::Message | CallResult::TooShort | CallResult::MailboxFull
            )
        {
            hold!(
                record.cause == Some(status),
                "B said {status}, the cause is {:?}",
                record.cause
            );
        }
        Ok(())
    }

    /// Whoever of two who talk hangs up, the other is told at once (A as soon as that is allowed); and no dialog outlives
    /// the call's end.
    pub(super) fn each_end_is_passed_on(&self) -> Result<(), String> {
        let ended = self
            .entries
            .iter()
            .find(|e| matches!(e.what, Seen::Ended { .. }))
            .map_or(0, |e| e.at);
        let over = |said: &[Said], tag: &str| {
            let of_tag = |s: &&Said| {
                s.msg.method() == Some("BYE") && (if s.out { s.msg.tag_of_to() } else { s.msg.tag_of_from() }) == tag
            };
            said.iter().find(of_tag).map(|s| s.at)
        };
        for said in self
            .b
            .iter()
            .filter(|s| s.responds(false, "INVITE").is_some_and(|c| (200..300).contains(&c)))
        {
            if let Some(at) = over(&self.b, said.msg.tag_of_to()).filter(|_| self.waited(said)) {
                hold!(
                    at <= ended.max(said.at),
                    "B's dialog was ended {} ms after the call",
                    (at - ended) / MS
                );
            }
        }
        let (Some(_), Some(b)) = (first_2xx(&self.a, true), first_2xx(&self.b, false)) else {
            return Ok(());
        };
        let a_over = over(&self.a, self.world.callers[self.call].tag());
        hold!(
            a_over.is_none_or(|at| at <= ended),
            "A's dialog was ended after the call"
        );
        if !self
            .actions()
            .any(|(_, action)| matches!(action, MediaAction::Bridge { .. }))
        {
            return Ok(());
        }
        let (Some(a_over), Some(b_over)) = (a_over, over(&self.b, b.msg.tag_of_to())) else {
            return Ok(());
        };
        let (a_may, b_may) = (may_hang_up(&self.a, b_over), may_hang_up(&self.b, a_over));
        hold!(
            b_over <= a_over.max(b_may),
            "B was told {} ms after A had hung up",
            (b_over - a_over) / MS
        );
        hold!(
            a_over <= b_over.max(a_may),
            "A was told {} ms after B had hung up",
            (a_over - b_over) / MS
        );
        Ok(())
    }

    /// What the phones believe at the end: no dialog is open that Segue did not try to end.
    pub(super) fn phones_agree(&self) -> Result<(), String> {
        let caller = &self.world.callers[self.call];
        let byes_to =
            |said: &[Said], call_id: &str| said.iter().any(|s| s.is(true, "BYE") && s.msg.call_id() == call_id);
        if let Some(dialog) = caller
            .dialog
            .as_ref()
            .filter(|d| d.is_open() && caller.script.dies.is_none())
        {
            hold!(byes_to(&self.a, &dialog.call_id), "A still believes in the call");
        }
        let callee = &self.world.callees[self.callee];
        if callee.script.dies.is_none() {
            for dialog in callee.open_dialogs() {
                hold!(byes_to(&self.b, &dialog.call_id), "B still believes in the call");
            }
        }
        Ok(())
    }
}

/// From when a BYE may be said that is wanted at `wanted`: our 2xx have their ACK, or 64·T1 has passed (RFC 3261 §15).
fn may_hang_up(said: &[Said], wanted: Time) -> Time {
    let mut waits: BTreeMap<u32, (Time, &str)> = BTreeMap::new();
    for s in said
        .iter()
        .filter(|s| s.at <= wanted && s.responds(true, "INVITE").is_some_and(|c| (200..300).contains(&c)))
    {
        waits.entry(s.msg.cseq().0).or_insert((s.at, s.msg.tag_of_to()));
    }
    let ends = waits.iter().map(|(number, (since, tag))| {
        let ack = said
            .iter()
            .find(|s| s.is(false, "ACK") && s.msg.cseq().0 == *number && s.msg.tag_of_to() == *tag);
        ack.map_or(Time::MAX, |s| s.at).min(since + TRIED)
    });
    ends.max().unwrap_or_default()
}

fn first_2xx<'a>(said: &[Said<'a>], out: bool) -> Option<Said<'a>> {
    said.iter()
        .find(|s| s.responds(out, "INVITE").is_some_and(|c| (200..300).contains(&c)))
        .copied()
}
