//! A world that plays one random call: it does what is possible, at any time, until all is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_call::{
    Call, CallConfig, Further, Incoming, Input, LegEvent, LegId, Lookup, Now, Operator, Said, StoreReply,
};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile};
use segue_policy::{
    AnswerAt, CalleeEarlyMedia, ClipChoice, Decided, First, HoldOn, OnMissed, Outcome, Plan, Profile, Ring, Then,
    Transcode, Why,
};
use segue_records::{CallRecord, PhaseName, UnixMs};

mod chances;
mod events;
mod replies;

use crate::reference::{A, Leg, Reference};

const EARLY_MS: u64 = 170_000;

pub struct World {
    call: Call,
    reference: Reference,
    rng: StdRng,
    epoch: Instant,
    now_ms: u64,
    lookup: StoreReply,
    hold_ms: u64,
    no_answer_ms: u64,
    /// The clip's first packet, while nothing has cut the hold short.
    held_since: Option<u64>,
    hold_cut: bool,
    /// Whether A has pressed `*` at all, and in the hold, before any other way to tell of that press.
    starred: bool,
    stays: bool,
}

fn sdp(media: &str) -> Arc<[u8]> {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{media}")
        .into_bytes()
        .into()
}

const AUDIO: &str = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const FOREIGN: &str = "m=audio 4000 RTP/AVP 18\r\n";
const VIDEO: &str =
    "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";

const OPUS: &str =
    "m=audio 4000 RTP/AVP 111 102\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:102 telephone-event/48000\r\n";
const VP8: &str = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";

/// What the callee's rules say, for one call in three.
fn decided(seed: u64) -> Decided {
    // By a sequence of its own: without rules a seed is the call that it was.
    let mut rng = StdRng::seed_from_u64(seed ^ 0x7275_6c65);
    let mut chance = |of: u64| rng.next_u64().is_multiple_of(of);
    if !chance(3) {
        return Decided::default();
    }
    let first = match (chance(4), chance(8), chance(2)) {
        (true, _, dnd) => First::Greeting(dnd.then_some(Why::Dnd)),
        (_, true, anonymous) => First::HangUp { anonymous },
        _ => First::Ring,
    };
    let mut missed = Vec::new();
    for why in Why::ALL.into_iter().filter(|why| why.is_after()) {
        if chance(3) {
            continue;
        }
        let then = match (chance(2), chance(4), chance(2)) {
            (true, ..) => Some(Then::Forward("sip:deputy@10.0.0.9".into())),
            (_, true, _) => Some(Then::HangUp),
            (.., true) => Some(Then::Greeting),
            _ => None,
        };
        let greeting = match (chance(3), chance(3)) {
            (true, _) => Some(ClipChoice::Clip("clip".into())),
            (_, true) => Some(ClipChoice::None),
            _ => None,
        };
        let message = chance(3).then_some(false);
        let outcome = Outcome {
            then,
            greeting,
            message,
            ..Outcome::default()
        };
        missed.push(OnMissed { why, place: 1, outcome });
    }
    Decided {
        first,
        first_place: chance(2).then_some(1),
        no_message: chance(6),
        rings_anyhow: false,
        forwarded_for: None,
        barred: Vec::new(),
        missed,
    }
}

/// A clip, in what callers here take.
fn clip(id: i64, duration_ms: u64) -> ClipInfo {
    let of = |profile| RenditionInfo {
        profile,
        bytes: 1,
        profile_level_id: None,
    };
    let renditions = [
        RenditionProfile::Pcmu,
        RenditionProfile::Opus,
        RenditionProfile::H264W640Mode1,
        RenditionProfile::Vp8W640,
    ];
    let renditions = renditions.into_iter().map(of).collect();
    ClipInfo {
        id,
        name: "clip".into(),
        duration_ms,
        renditions,
    }
}

impl World {
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    pub fn new(seed: u64) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut chance = |of: u64| rng.next_u64().is_multiple_of(of);
        let offer = match (chance(30), chance(30), chance(8), chance(2)) {
            (true, ..) => None,
            (_, true, ..) => Some(sdp(FOREIGN)),
            (_, _, true, _) => Some(sdp(&format!("{AUDIO}a=recvonly\r\n"))),
            (.., true) => Some(sdp(&match chance(3) {
                true => format!("{OPUS}{VP8}"),
                false => format!("{AUDIO}{VIDEO}"),
            })),
            _ => Some(sdp(AUDIO)),
        };
        let hold_ms = if chance(4) { 0 } else { 6_000 };
        let no_answer_ms = if chance(5) { 400_000 } else { 20_000 };
        let plan = Plan {
            mailbox: "bob".into(),
            targets: [
                "sip:bob@10.0.0.2",
                "sip:bob@10.0.0.3",
                "sip:bob@10.0.0.4",
                "sip:bob@10.0.0.5",
            ]
            .into_iter()
            .enumerate()
            .filter_map(|(at, target)| {
                let target = if chance(30) { "mailto:bob" } else { target };
                (at == 0 || chance(3)).then(|| target.to_owned())
            })
            .collect(),
            ring: if chance(2) { Ring::Together } else { Ring::InOrder },
            ring_ms: if chance(2) { 3_000 } else { 15_000 },
            hold_ms,
            hold_on: if chance(4) { HoldOn::Greeting } else { HoldOn::Clip },
            no_answer_ms,
            answer_at: if chance(2) {
                AnswerAt::Greeting
            } else {
                AnswerAt::AfterGreeting
            },
            menu: !chance(4),
            ..Plan::default()
        };
        let plan = Plan {
            decided: decided(seed),
            ..plan
        };
        let lookup = Lookup {
            plan,
            clip: (!chance(3)).then(|| clip(1, 10_000)),
            greeting: (!chance(3)).then(|| clip(2, 4_000)),
            beep: (!chance(4)).then(|| clip(3, 500)),
            full: (!chance(4)).then(|| clip(4, 3_000)),
            prompts: chance(2).then(|| clip(0, 0)),
            named: vec![clip(5, 2_000)],
        };
        let lookup = if chance(30) {
            StoreReply::NotFound
        } else if chance(30) {
            StoreReply::LookupFailed { why: "locked".into() }
        } else {
            StoreReply::Found(Box::new(lookup))
        };
        let profile = Profile {
            name: "softphone".into(),
            ringing_status: if chance(2) { 180 } else { 183 },
            video_upgrade: chance(2),
            align: chance(2),
            transcode: if chance(2) { Transcode::Off } else { Transcode::Audio },
            transcode_video: chance(2),
            callee_early_media: if chance(2) {
                CalleeEarlyMedia::Authorized
            } else {
                CalleeEarlyMedia::Any
            },
            redirect_targets: if chance(3) {
                Vec::new()
            } else {
                vec!["10.0.0.0/29".parse().unwrap()]
            },
            ..Profile::default()
        };
        let max_breadth = if chance(10) {
            [0, 1, 2][usize::from(chance(2)) + usize::from(chance(2))]
        } else {
            60
        };
        let incoming = Incoming {
            sip_call_id: "model".into(),
            from: "sip:alice@10.0.0.1".parse().unwrap(),
            from_name: None,
            request_uri: "sip:bob@segue.example".parse().unwrap(),
            further: Further::default(),
            offer,
            supports_100rel: chance(2),
            requires_100rel: chance(6),
            p_early_media: chance(2),
            max_forwards: 69,
            max_breadth,
            is_loop: chance(60),
            source: "10.0.0.1".parse().unwrap(),
            own_sockets: if chance(20) {
                Arc::new(["10.0.0.2:5060".parse().unwrap()])
            } else {
                Arc::new([])
            },
            own_names: Arc::new([]),
            to: "sip:bob@segue.example".parse().unwrap(),
            to_name: None,
            emergency: None,
            route: Vec::new(),
            profile: Arc::new(profile),
        };
        let config = CallConfig {
            record_min_ms: 1_000,
            record_max_ms: 180_000,
            record_silence_ms: 5_000,
            early_max_ms: EARLY_MS,
        };
        let epoch = Instant::now();
        let now = Now {
            mono: epoch,
            wall: UnixMs(1_700_000_000_000),
        };
        let delayed = incoming.offer.is_none();
        let call = Call::incoming(incoming, Arc::new(config), now, seed);
        let mut world = World {
            call,
            reference: Reference::new(usize::from(max_breadth), delayed),
            rng,
            epoch,
            now_ms: 0,
            lookup,
            hold_ms,
            no_answer_ms,
            held_since: None,
            hold_cut: false,
            starred: false,
            stays: false,
        };
        world.listen();
        world
    }

    /// Play to the end.
    pub fn play(mut self, noise: bool) -> CallRecord {
        for _ in 0..80 {
            if noise && self.chance(3) {
                self.impossible();
            }
            match self.below(10) {
                0 => {
                    let ms = [1, 20, 500, 3_000, 30_000][self.below(5)];
                    self.pass(ms);
                }
                1..=2 => self.peer_does_something(A),
                3..=4 => {
                    let leg = self.a_branch();
                    self.peer_does_something(leg);
                }
                5..=7 => self.someone_replies(),
                _ => self.media_says_something(),
            }
            if self.chance(400) {
                self.input(Input::Operator(Operator::HangUp));
            }
        }
        // Now everybody does what they owe, and A goes.
        for _ in 0..200 {
            if let Some(record) = self.reference.ended.clone() {
                assert_eq!(self.call.poll_timeout(), None, "a timer is left");
                if noise {
                    self.impossible();
                }
                return record;
            }
            self.someone_replies();
            let legs: Vec<LegId> = [A].into_iter().chain(self.reference.b.keys().copied()).collect();
            for leg in legs {
                let state = self.reference.leg(leg);
                match (leg, state) {
                    (_, Leg::Ended) => self.leg(leg, LegEvent::Terminated),
                    (A, Leg::Inviting) if self.chance(3) => self.leg(A, LegEvent::Cancelled { reason: None }),
                    (A, Leg::Answered | Leg::Up) if self.chance(3) => self.leg(A, LegEvent::Bye { reason: None }),
                    (_, Leg::Cancelled) => {
                        let phrase = "Request Terminated".into();
                        self.leg(
                            leg,
                            LegEvent::Failed {
                                status: 487,
                                phrase,
                                local: false,
                                said: Said::default(),
                            },
                        );
                    }
                    _ => {}
                }
            }
            self.pass(2_000);
        }
        panic!("never ended, in {:?}: {:?}", self.call.phase(), self.reference);
    }

    fn chance(&mut self, of: u64) -> bool {
        self.rng.next_u64().is_multiple_of(of)
    }

    /// Some branch that was begun, or the first.
    fn a_branch(&mut self) -> LegId {
        let tried = self.reference.tried.len().max(1);
        LegId(u32::try_from(1 + self.below(tried)).unwrap())
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.next_u64() % n as u64).unwrap()
    }

    fn now(&self) -> Now {
        let wall = UnixMs(1_700_000_000_000 + i64::try_from(self.now_ms).unwrap());
        Now {
            mono: self.epoch + Duration::from_millis(self.now_ms),
            wall,
        }
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        self.call.handle(input, now);
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(output) = self.call.poll_output() {
            let invited = self.reference.invited;
            self.reference.said(&output);
            let just_invited = self.reference.invited && !invited;
            if let Some(noted) = self.reference.noted {
                assert!(self.starred || !noted, "told that A stays, who never said so");
                let stays = self.stays && !self.hold_cut;
                assert!(noted || !stays, "A stays, and nobody is told");
                // The clip of 10 s ends after the hold of 6 s, the greeting of 4 s for the second time after 8 s, unless B would then have too little time to ring.
                if stays && just_invited && self.no_answer_ms <= 20_000 {
                    let held = self.now_ms - self.held_since.unwrap();
                    assert!(held >= 8_000, "A stays, and is held {held} ms");
                }
            }
            if let Some(since) = self
                .held_since
                .filter(|_| just_invited && !self.hold_cut && self.hold_ms > 0)
            {
                let held = self.now_ms - since;
                assert!(held >= self.hold_ms, "held {held} ms of {}", self.hold_ms);
            }
        }
        if self.reference.to_hold && self.reference.a == Leg::Answered {
            return self.leg(A, LegEvent::AnswerHeld);
        }
        if self.reference.held && self.reference.a == Leg::Answered && !self.reference.answer_waits() {
            return self.leg(A, LegEvent::AnswerSent);
        }
        assert!(
            self.reference.offers_are_in_hand(),
            "an offer waits for its answer: {:?}",
            self.reference
        );
    }

    /// Time passes, timers are served in time.
    fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(at) = self.call.poll_timeout() {
            let due = u64::try_from(at.saturating_duration_since(self.epoch).as_micros().div_ceil(1_000)).unwrap();
            if due > end {
                break;
            }
            self.now_ms = due.max(self.now_ms);
            self.input(Input::Timeout);
            assert!(
                self.call.poll_timeout().is_none_or(|next| next > self.now().mono),
                "a timer that was due is due again"
            );
        }
        self.now_ms = end;
        assert!(
            self.reference.a != Leg::Inviting || self.now_ms <= EARLY_MS,
            "unanswered past the cap"
        );
    }

    /// A possible event of a leg.
    fn leg(&mut self, leg: LegId, event: LegEvent) {
        assert!(
            self.reference.is_possible(leg, &event),
            "{event:?} is not possible in {:?}",
            self.reference
        );
        self.reference.happens(leg, &event);
        self.hold_cut |= leg == A && matches!(event, LegEvent::Key { key: '#', .. });
        if leg == A && matches!(event, LegEvent::Key { key: '*', .. }) {
            self.presses_star();
        }
        self.input(Input::Leg(leg, event));
    }

    /// A presses `*`. Only its first press is sure to be new: a later one may be the same, told another way.
    fn presses_star(&mut self) {
        let held = self.held_since.is_some() && !self.reference.invited && self.hold_ms > 0;
        self.stays |=
            !self.starred && held && self.call.phase() == PhaseName::Holding && self.reference.tried.is_empty();
        self.starred = true;
    }

    fn peer_does_something(&mut self, leg: LegId) {
        let event = self.any_leg_event(true);
        // Ends are rare, or no call would come far; crossing what `sip` settles itself is not its to say.
        let rare = matches!(
            event,
            LegEvent::Bye { .. }
                | LegEvent::Cancelled { .. }
                | LegEvent::PrackTimeout
                | LegEvent::AckTimeout
                | LegEvent::Terminated
        );
        let early = leg == A && self.reference.a == Leg::Answered;
        let early = early && !self.reference.held;
        let settled = early && matches!(event, LegEvent::Cancelled { .. } | LegEvent::PrackTimeout);
        if settled || rare && !self.chance(8) && self.reference.leg(leg) != Leg::Ended {
            return;
        }
        if self.reference.is_possible(leg, &event) {
            self.leg(leg, event);
        }
    }
}
