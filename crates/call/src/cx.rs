//! What all phases of a call share: its invite, its legs and sides, its record, and the way out.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use segue_policy::Service;
use segue_records::{CallBackFacts, CallRecord, LegRecord, MediaKind, PhaseName, SwitchRecord};
use segue_sdp::Kind;
use segue_sip_wire::Uri;

use crate::{
    apart::Transcoder,
    caller::Caller,
    hearing::Hearing,
    ids::Ids,
    io::{CallConfig, Incoming, LegAction, LegId, MediaAction, Now, Output, Source, StoreAction, Way},
    keys::Keys,
    legs::{Leg, Legs},
    passing::Passing,
    place::Place,
    securing::Secrets,
    serving::Away,
};

/// Most switches that a record keeps.
const SWITCHES_MAX: usize = 256;

/// What all phases share.
#[derive(Debug)]
pub(crate) struct Cx {
    pub config: Arc<CallConfig>,
    pub invite: Incoming,
    pub now: Now,
    pub ids: Ids,
    pub secrets: Secrets,
    pub legs: Legs,
    /// A's offer and answer.
    pub a: Caller,
    /// The leg that A is bridged to.
    pub bridged: Option<LegId>,
    /// An offer of one side that the other is being asked.
    pub passing: Option<Passing>,
    /// The process that transcodes what they say.
    pub transcoder: Transcoder,
    /// The process that transcodes what they show.
    pub picture_maker: Transcoder,
    /// A and its callee keep codecs of their own.
    pub stays_apart: bool,
    /// The callee whom A hears before the answer.
    pub hearing: Option<Hearing>,
    /// How often A was told that what may flow has changed.
    pub early_media_told: u8,
    /// Something of ours is, or was, played to A.
    pub plays: bool,
    /// How often something was said to A.
    pub said: u32,
    /// Where A's message will be.
    pub place: Place,
    /// A's message is being recorded.
    pub recording: bool,
    pub record: CallRecord,
    /// Keys that may be told once more, another way.
    pub keys: Keys,
    /// A has chosen to watch the clip to its end: B is told.
    pub stays: bool,
    /// Why the clip could not be played, for the last sentence.
    pub clip_trouble: Option<String>,
    /// What the caller gave as its reason when it gave up.
    pub why_given_up: Option<String>,
    /// How targets that go onward get there, if they do.
    pub way: Option<Way>,
    /// A has called one of our services, and nobody else.
    pub serves: Option<Service>,
    /// A has left its mailbox for a call within this one, which ends without it.
    pub away: Option<Away>,
    /// Such calls that are over, in order.
    pub called_back: Vec<CallBackFacts>,
    first_clip_packet: Option<Instant>,
    /// When the early phase has lasted long enough.
    early_until: Option<Instant>,
    ports: Anchor,
    out: VecDeque<Output>,
}

/// The anchor on the packet path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    None,
    Open,
    Closed,
}

impl Cx {
    pub fn new(mut invite: Incoming, config: Arc<CallConfig>, now: Now, seed: u64) -> Cx {
        let mut ids = Ids::new(seed);
        let secrets = Secrets::new(invite.further.secret.take());
        let (from, from_said) = invite.caller();
        let record = CallRecord {
            from,
            from_said,
            to: invite.request_uri.to_string(),
            icid: invite.further.icid.clone(),
            ..CallRecord::begun(ids.ulid(now.wall), invite.sip_call_id.clone(), now.wall)
        };
        let mut cx = Cx {
            a: Caller::new(&invite),
            legs: Legs::new(),
            keys: Keys::default(),
            bridged: None,
            passing: None,
            transcoder: Transcoder::None,
            picture_maker: Transcoder::None,
            stays_apart: false,
            hearing: None,
            early_media_told: 0,
            plays: false,
            said: 0,
            place: Place::default(),
            recording: false,
            stays: false,
            clip_trouble: None,
            why_given_up: None,
            way: None,
            serves: None,
            away: None,
            called_back: Vec::new(),
            first_clip_packet: None,
            // Who calls for help waits as long as it takes.
            early_until: later(now.mono, config.early_max_ms).filter(|_| invite.emergency.is_none()),
            ports: Anchor::None,
            out: VecDeque::new(),
            config,
            invite,
            now,
            ids,
            secrets,
            record,
        };
        cx.add_leg_record(cx.invite.sip_call_id.clone(), cx.invite.request_uri.to_string());
        cx.leave_own_route();
        cx
    }

    /// That moment, or the last at which what A's network asserts of the caller is still fresh to B (RFC 8224 §6.2).
    pub fn while_fresh(&self, at: Instant) -> Instant {
        self.invite.further.invite_by.map_or(at, |by| at.min(by))
    }

    /// The caller's name where it is shown.
    pub fn shown_name(&self) -> Option<&String> {
        let shown = self.invite.further.shown.as_ref();
        shown.map_or(self.invite.from_name.as_ref(), |shown| shown.name.as_ref())
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub fn leg(&mut self, leg: LegId, action: LegAction) {
        self.out.push_back(Output::Leg(leg, action));
    }

    /// Nothing reaches the packet path once it is closed.
    pub fn media(&mut self, action: MediaAction) {
        if self.ports == Anchor::Closed {
            return;
        }
        if matches!(action, MediaAction::Open { .. }) {
            self.ports = Anchor::Open;
        }
        if matches!(
            action,
            MediaAction::Play { .. } | MediaAction::PlayFrom { .. } | MediaAction::Say { .. }
        ) {
            (self.plays, self.hearing) = (true, None);
        }
        self.out.push_back(Output::Media(action));
    }

    pub fn store(&mut self, action: StoreAction) {
        self.out.push_back(Output::Store(action));
    }

    /// Say the last output.
    pub fn say_ended(&mut self) {
        self.record.ended_at = Some(self.now.wall);
        self.out.push_back(Output::Ended(Box::new(self.record.clone())));
    }

    pub fn media_is_open(&self) -> bool {
        self.ports == Anchor::Open
    }

    /// Give back all ports, once.
    pub fn close_media(&mut self) {
        if self.media_is_open() {
            self.media(MediaAction::Close);
        }
        self.ports = Anchor::Closed;
    }

    /// The moment `ms` from now; far beyond any call when the clock cannot say.
    pub fn in_ms(&self, ms: u64) -> Instant {
        later(self.now.mono, ms).unwrap_or(self.now.mono)
    }

    pub fn is_due(&self, at: Instant) -> bool {
        self.now.mono >= at
    }

    /// When the early phase must be over, while it lasts.
    pub fn early_deadline(&self) -> Option<Instant> {
        self.early_until.filter(|_| self.legs.a == Leg::Inviting)
    }

    pub fn early_is_over(&self) -> bool {
        self.early_deadline().is_some_and(|at| self.is_due(at))
    }

    pub fn add_leg_record(&mut self, sip_call_id: String, target: String) {
        let leg = LegRecord {
            sip_call_id,
            target,
            status: None,
            reason: None,
            ladder: Vec::new(),
            media: Vec::new(),
        };
        self.record.legs.push(leg);
    }

    /// Whether a call to this target would be this call again: it is one of our own sockets, and names the callee as it was called,
    /// by an alias maybe, or by its own name.
    pub fn comes_back(&self, target: &Uri, subscriber: &str) -> bool {
        let user = target.user();
        let is_callee = user == self.invite.request_uri.user() || user.is_some_and(|user| user == subscriber);
        is_callee && self.is_here(target)
    }

    /// Keep how a leg's INVITE ended, and the reason that came with the end.
    pub fn note_leg(&mut self, leg: LegId, status: Option<u16>, reason: Option<String>) {
        if let Some(record) = self.record.legs.get_mut(usize::try_from(leg.0).unwrap_or(usize::MAX)) {
            record.status = status.or(record.status);
            record.reason = reason.or(record.reason.take());
        }
    }

    pub fn note_switch(&mut self, to: Source, kind: Kind, gap_ms: Option<u64>) {
        if self.record.switches.len() < SWITCHES_MAX {
            let kind = match kind {
                Kind::Audio => MediaKind::Audio,
                Kind::Video => MediaKind::Video,
            };
            self.record.switches.push(SwitchRecord {
                to: to.as_str().into(),
                kind,
                gap_ms,
                at: self.now.wall,
            });
        }
    }

    /// Whether what A was held on has come to its end at least once.
    pub fn held_to_the_end(&self, playing_ms: u64) -> bool {
        let end = self.first_clip_packet.and_then(|first| later(first, playing_ms));
        self.clip_trouble.is_none() && end.is_some_and(|end| self.is_due(end))
    }

    pub fn note_first_clip_packet(&mut self) {
        if self.first_clip_packet.is_none() {
            self.first_clip_packet = Some(self.now.mono);
            self.record.first_media_at = Some(self.now.wall);
        }
    }

    /// B is invited now: the hold, if there was one, is over. Who is tried later was not waited for.
    pub fn note_invited(&mut self) {
        if self.record.invited_at.is_some() {
            return;
        }
        self.record.invited_at = Some(self.now.wall);
        self.record.hold_ms = self.record.hold_asked_ms.map(|_| {
            let held = self
                .first_clip_packet
                .map_or_else(Default::default, |first| self.now.mono.saturating_duration_since(first));
            u64::try_from(held.as_millis()).unwrap_or(u64::MAX)
        });
    }

    /// The furthest phase; `Ending` is where every call comes to and tells nothing.
    pub fn note_phase(&mut self, phase: PhaseName) {
        if phase != PhaseName::Ending {
            self.record.phase_reached = self.record.phase_reached.max(phase);
        }
    }
}

pub(crate) fn later(from: Instant, ms: u64) -> Option<Instant> {
    from.checked_add(std::time::Duration::from_millis(ms))
}
