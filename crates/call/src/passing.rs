//! What one side of a bridge changes is offered to the other, and answered when that has answered: hold, resume, another codec,
//! video that comes or goes. Refused by one it changes neither.

use std::sync::Arc;

use segue_sdp::{
    Agreed, Choice, Codec, Description, Direction, Format, Kind, SdpError, Side, Stream, WarnCode, Warning,
};

use crate::{
    apart::Transcoder,
    cx::Cx,
    io::{LegAction, LegId},
    legs::Leg,
};

/// An offer of ours to one side of the bridge.
#[derive(Debug)]
pub(crate) struct Passing {
    /// Whose offer it is, that waits for its answer; `None`: ours, to bring the two together.
    asker: Option<Asker>,
    asked: LegId,
    /// A is asked to take its callee's codecs.
    aligns: bool,
    /// The asked leg's side with the offer; it counts once that is accepted.
    side: Side,
}

#[derive(Debug)]
struct Asker {
    leg: LegId,
    offer: Description,
    /// Its re-INVITE was cancelled.
    withdrawn: bool,
}

/// One stream as a leg is to have it, with our direction.
type Wanted<'a> = Option<(&'a Stream, Direction)>;

fn of(agreed: &Agreed, kind: Kind) -> Option<&Stream> {
    match kind {
        Kind::Audio => agreed.audio.as_ref(),
        Kind::Video => agreed.video.as_ref(),
    }
}

/// What the one sends the other gets.
fn mirrored(stream: &Stream) -> Direction {
    Direction::of(stream.direction.receives(), stream.effective().sends())
}

/// The codec in use, if it is still offered, else the first that we know.
fn in_use(agreed: &Agreed) -> impl Fn(&Format) -> bool + use<> {
    let codecs: Vec<Codec> = agreed.streams().map(|s| s.format.codec).collect();
    move |format| codecs.iter().any(|codec| codec.is_same_kind(format.codec))
}

/// Whether both have the same kinds of stream in the same codecs.
fn same_codecs(one: &Agreed, other: &Agreed) -> bool {
    let codec = |agreed, kind| of(agreed, kind).map(|s| s.format.codec);
    [Kind::Audio, Kind::Video]
        .into_iter()
        .all(|kind| match (codec(one, kind), codec(other, kind)) {
            (Some(one), Some(other)) => one.is_same_kind(other),
            (one, other) => one.is_none() && other.is_none(),
        })
}

impl Cx {
    /// A re-offer of one side of the bridge: pass it on when the other is concerned. False: it is to be answered here.
    pub fn pass_on(&mut self, leg: LegId, offer: &Description) -> bool {
        let Some(other) = self.other_side(leg) else {
            return false;
        };
        if self.passing.is_some() {
            self.refuse_offer(leg, 491, None);
            return true;
        }
        let Some((side, before)) = self.party(leg) else {
            return false;
        };
        let preferred = in_use(before);
        let Ok(after) = side.clone().answer(offer, Choice::Prefer(&preferred)) else {
            return false;
        };
        let before = before.clone();
        let Some(sdp) = self.offer_for(other, leg, Some(&before), &after) else {
            // The other need not know. What stays as it was, codecs and all, is answered here; video that comes back to a side
            // which is waiting for it, too.
            if !same_codecs(&before, &after) {
                self.answer_asker(leg, offer);
                return true;
            }
            return false;
        };
        if !self.takes_offers(other) {
            if !same_codecs(&before, &after) {
                let why = Warning::new(WarnCode::MediaFormat, "The other side takes no other codec");
                self.refuse_offer(leg, 488, Some(why));
                return true;
            }
            return false;
        }
        let asker = Asker {
            leg,
            offer: offer.clone(),
            withdrawn: false,
        };
        self.make_offer(other, Some(asker), sdp);
        true
    }

    /// Offer one side what the other has, where they have come apart.
    pub fn align(&mut self, with: LegId) {
        if self.passing.is_some() {
            return;
        }
        let Some(other) = self.other_side(with) else { return };
        let Some(agreed) = self.party(with).map(|(_, agreed)| agreed.clone()) else {
            return;
        };
        if self.takes_offers(other)
            && let Some(sdp) = self.offer_for(other, with, None, &agreed)
        {
            self.make_offer(other, None, sdp);
        }
    }

    /// The asked one's answer. False: we had asked nothing.
    pub fn passed_on(&mut self, leg: LegId, sdp: Option<&Arc<[u8]>>) -> bool {
        let Some(mut passing) = self.passing.take_if(|passing| passing.asked == leg) else {
            return false;
        };
        let answer = sdp.and_then(|sdp| Description::parse(sdp).ok());
        let agreed = answer.and_then(|answer| passing.side.read_answer(&answer).ok());
        let Some(agreed) = agreed else {
            // It has agreed to something that cannot be used. The one who asked keeps what it had.
            if let Some(asker) = passing.asker.filter(|asker| !asker.withdrawn) {
                let why = Warning::new(WarnCode::Miscellaneous, "The other side's answer cannot be used");
                self.refuse_offer(asker.leg, 488, Some(why));
            }
            return true;
        };
        self.commit(leg, passing.side, agreed);
        match passing.asker {
            Some(asker) if asker.withdrawn => self.align(asker.leg),
            Some(asker) => self.answer_asker(asker.leg, &asker.offer),
            None => {}
        }
        true
    }

    /// The asked one refuses.
    pub fn not_passed_on(&mut self, leg: LegId, status: u16) {
        let Some(passing) = self.passing.take_if(|passing| passing.asked == leg) else {
            return;
        };
        // It cannot be asked such things at all: a hold is between the other and us, as it is with every old phone.
        let incapable = matches!(status, 405 | 501);
        if incapable && let Some(branch) = self.legs.b.get_mut(leg) {
            branch.refuses_offers = true;
        }
        if incapable && leg == LegId::A {
            self.a.refuses_offers = true;
        }
        let Some(asker) = passing.asker.filter(|asker| !asker.withdrawn) else {
            return;
        };
        if incapable && !self.changes_codecs(asker.leg, &asker.offer) {
            return self.answer_here(asker.leg, &asker.offer);
        }
        if status == 491 {
            return self.refuse_offer(asker.leg, 491, None);
        }
        let why = format!("The other side refuses it ({status})");
        self.refuse_offer(asker.leg, 488, Some(Warning::new(WarnCode::Miscellaneous, why)));
    }

    /// The asker wants no answer any more.
    pub fn offer_withdrawn(&mut self, leg: LegId) {
        if let Some(asker) = self.passing.as_mut().and_then(|passing| passing.asker.as_mut())
            && asker.leg == leg
        {
            asker.withdrawn = true;
        }
    }

    /// Offer A what its callee has, in these codecs. Whether it is asked.
    pub fn offer_aligned(&mut self, callee: LegId, wanted: &Agreed) -> bool {
        if !self.takes_offers(LegId::A) {
            return false;
        }
        let Some(offer) = self.offer_for(LegId::A, callee, None, wanted) else {
            return false;
        };
        self.make_offer(LegId::A, None, offer);
        if let Some(passing) = &mut self.passing {
            passing.aligns = true;
        }
        true
    }

    /// Whether A is asked to take its callee's codecs.
    pub fn is_aligning(&self) -> bool {
        self.passing.as_ref().is_some_and(|passing| passing.aligns)
    }

    /// The callee of a bridge is gone, and A stays: what it offered is answered here, and what it is asked counts when it has answered.
    pub fn callee_left(&mut self) {
        (self.bridged, self.hearing, self.stays_apart) = (None, None, false);
        self.end_transcoder();
        self.settle_pictures();
        self.transcoder = Transcoder::None;
        match self.passing.take() {
            Some(passing) if passing.asked == LegId::A => {
                let ours = Passing {
                    asker: None,
                    aligns: false,
                    ..passing
                };
                self.passing = Some(ours);
            }
            Some(Passing { asker: Some(asker), .. }) if asker.leg == LegId::A && !asker.withdrawn => {
                self.answer_here(LegId::A, &asker.offer)
            }
            _ => {}
        }
    }

    /// Whether A is asked something.
    pub fn asks_caller(&self) -> bool {
        self.passing.as_ref().is_some_and(|passing| passing.asked == LegId::A)
    }

    /// Which way we have said that A's streams go: sound, pictures.
    pub fn callers_directions(&self) -> [Option<Direction>; 2] {
        let says = |kind| Some(self.a.side.as_ref()?.says(kind)?.1);
        [says(Kind::Audio), says(Kind::Video)]
    }

    /// Offer A that its streams go as they did before, where its callee had them on hold. Where A has, it says so again (RFC 6337 §5.3).
    pub fn bring_caller_back(&mut self, before: [Option<Direction>; 2]) {
        let [audio, video] = self.callers_directions();
        let [audio_before, video_before] = before;
        // What we only receive A has on hold.
        let held = |now: Option<Direction>, before: Option<Direction>| {
            before.filter(|_| now.is_some_and(|now| now != Direction::RecvOnly) && now != before)
        };
        let (of_audio, of_video) = (held(audio, audio_before), held(video, video_before));
        let is_any = of_audio.is_some() || of_video.is_some();
        if self.passing.is_some() || !is_any || !self.takes_offers(LegId::A) {
            return;
        }
        let Some((side, agreed)) = self.party(LegId::A) else {
            return;
        };
        let mut side = side.clone();
        let wanted = |kind, direction: Option<Direction>| Some((of(agreed, kind)?, direction?));
        let audio = wanted(Kind::Audio, of_audio.or(audio));
        let video = wanted(Kind::Video, of_video.or(video));
        let sdp = side.offer_within(audio, video);
        self.make_offer(LegId::A, None, (side, sdp));
    }

    fn make_offer(&mut self, asked: LegId, asker: Option<Asker>, (side, sdp): (Side, Arc<[u8]>)) {
        self.passing = Some(Passing {
            asker,
            asked,
            aligns: false,
            side,
        });
        self.leg(asked, LegAction::Offer { sdp });
    }

    /// What a leg is to be offered now that the other has `after`; `None`: it has that already, or nothing has changed for it.
    fn offer_for(&self, leg: LegId, from: LegId, before: Option<&Agreed>, after: &Agreed) -> Option<(Side, Arc<[u8]>)> {
        let (side, agreed) = self.party(leg)?;
        let wanted = |from_agreed: &Agreed, kind| -> Option<(Codec, Direction)> {
            self.wanted(leg, from, from_agreed, before, kind)
                .map(|(stream, direction)| (stream.format.codec, direction))
        };
        let same = |one: Option<(Codec, Direction)>, other: Option<(Codec, Direction)>| match (one, other) {
            (Some((codec, direction)), Some((other, its))) => codec.is_same_kind(other) && direction == its,
            (one, other) => one.is_none() && other.is_none(),
        };
        let kinds = [Kind::Audio, Kind::Video];
        let unchanged = before.is_some_and(|before| {
            kinds
                .into_iter()
                .all(|kind| same(wanted(before, kind), wanted(after, kind)))
        });
        // What it declined of our description it does not have.
        let has = |kind| side.says(kind).filter(|_| of(agreed, kind).is_some());
        let has_it = kinds.into_iter().all(|kind| same(has(kind), wanted(after, kind)));
        if unchanged || has_it || agreed.streams().next().is_none() {
            return None;
        }
        let mut side = side.clone();
        let audio = self.wanted(leg, from, after, before, Kind::Audio);
        let video = self.wanted(leg, from, after, before, Kind::Video);
        let sdp = side.offer_within(audio, video);
        Some((side, sdp))
    }

    /// One stream that a leg is to have, by what the other has.
    fn wanted<'a>(
        &'a self,
        leg: LegId,
        from: LegId,
        theirs: &'a Agreed,
        before: Option<&Agreed>,
        kind: Kind,
    ) -> Wanted<'a> {
        let (side, agreed) = self.party(leg)?;
        let ours = of(agreed, kind);
        match of(theirs, kind) {
            // It has declined this kind before, and nobody has anything new to show.
            Some(_) if ours.is_none() && before.is_some_and(|before| of(before, kind).is_some()) => None,
            // What does not come together is made of each other: each keeps its codec.
            Some(stream) if ours.is_some_and(|ours| self.stays_apart(ours, stream)) => Some((ours?, mirrored(stream))),
            Some(stream) => Some((stream, mirrored(stream))),
            // B shows nothing: A keeps its stream, in which a picture stays.
            None if leg == LegId::A && from != LegId::A => Some((ours?, side.says(kind)?.1)),
            None => None,
        }
    }

    /// The asker's answer, by what the other side has agreed to.
    fn answer_asker(&mut self, leg: LegId, offer: &Description) {
        let nothing = || SdpError::Unusable(Warning::new(WarnCode::Miscellaneous, "Nothing is agreed yet"));
        let answered = self.other_side(leg).ok_or_else(nothing).and_then(|other| {
            let (_, others) = self.party(other).ok_or_else(nothing)?;
            let (side, mine) = self.party(leg).ok_or_else(nothing)?;
            let mut side = side.clone();
            let max = |kind| match of(others, kind) {
                Some(stream) => mirrored(stream),
                // A sees a picture that stays.
                None if kind == Kind::Video && leg == LegId::A => Direction::SendRecv,
                None => Direction::Inactive,
            };
            let preferred = in_use(mine);
            let follows = |format: &Format| match others.streams().find(|s| s.kind == kind_of(format.codec)) {
                Some(stream) if of(mine, stream.kind).is_some_and(|mine| self.stays_apart(mine, stream)) => {
                    preferred(format)
                }
                Some(stream) => stream.format.codec.is_same_kind(format.codec),
                None => preferred(format),
            };
            let agreed = side.answer_narrowed(offer, Choice::Prefer(&follows), max(Kind::Audio), max(Kind::Video))?;
            Ok((side, agreed))
        });
        match answered {
            Ok((side, agreed)) => {
                let sdp = agreed.sdp.clone();
                self.commit(leg, side, agreed);
                self.leg(leg, LegAction::AcceptOffer { sdp });
            }
            Err(error) => self.refuse_offer(leg, 488, Some(error.warning())),
        }
    }

    fn changes_codecs(&self, leg: LegId, offer: &Description) -> bool {
        let Some((side, before)) = self.party(leg) else {
            return true;
        };
        let preferred = in_use(before);
        let after = side.clone().answer(offer, Choice::Prefer(&preferred));
        !after.is_ok_and(|after| same_codecs(before, &after))
    }

    /// One side of the bridge asks what means nothing here: the other is asked. Without a bridge nobody takes it.
    pub fn asked(&mut self, leg: LegId, ask: u64) {
        match self.other_side(leg).filter(|other| self.is_up(*other)) {
            Some(other) => self.leg(other, LegAction::Ask { of: leg, ask }),
            None => self.leg(leg, LegAction::DeclineAsk { ask }),
        }
    }

    /// One side of the bridge says something new of itself.
    pub fn refreshed(&mut self, leg: LegId) {
        if let Some(other) = self.other_side(leg).filter(|other| self.is_up(*other)) {
            self.leg(other, LegAction::Refresh);
        }
    }

    fn is_up(&self, leg: LegId) -> bool {
        let state = match leg {
            LegId::A => Some(self.legs.a),
            leg => self.legs.b.get(leg).map(|branch| branch.leg),
        };
        matches!(state, Some(Leg::Answered | Leg::Up))
    }

    /// The other side of the bridge.
    fn other_side(&self, leg: LegId) -> Option<LegId> {
        let callee = self.bridged?;
        match leg {
            LegId::A => Some(callee),
            leg => (leg == callee).then_some(LegId::A),
        }
    }

    /// Whether a leg can be offered something: its dialog is up, and it has not said that it never takes offers.
    fn takes_offers(&self, leg: LegId) -> bool {
        match leg {
            LegId::A => matches!(self.legs.a, Leg::Answered | Leg::Up) && !self.a.refuses_offers,
            leg => {
                let branch = self.legs.b.get(leg);
                branch.is_some_and(|branch| branch.leg == Leg::Up && !branch.refuses_offers)
            }
        }
    }
}

fn kind_of(codec: Codec) -> Kind {
    match codec {
        Codec::Vp8 | Codec::H264 { .. } => Kind::Video,
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus | Codec::Amr(_) | Codec::Foreign { .. } => Kind::Audio,
    }
}
