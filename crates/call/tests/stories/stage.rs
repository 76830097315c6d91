//! The stage of the stories: one call in virtual time, and the agents around it. `a` and `b` do what a test says; `sip`, the packet
//! path and the store react as their contracts say, some milliseconds later.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use segue_call::{
    Call, CallConfig, Further, Incoming, Input, KeySecret, LegAction, LegEvent, LegId, Lookup, MediaAction, MediaEvent,
    Now, Operator, Output, Ports, Said, Source, StoreReply,
};
use segue_mailbox::RecordingManifest;
use segue_policy::{AnswerAt, Plan, Profile, Ring};
use segue_records::{CallRecord, UnixMs};

mod agent;
mod desk;
mod did;
mod store;

pub use agent::Agent;
pub use desk::{Desk, clip};
pub use store::{PlaceReply, Preview};

pub const A: LegId = LegId(0);
pub const B: LegId = LegId(1);
/// How long one prompt takes.
pub const SAYING_MS: u64 = 2_000;
/// The first packet of a source leaves this long after `Play`.
pub const PACKET_MS: u64 = 2;

pub const AUDIO: &str = "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
pub const VIDEO: &str =
    "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";

pub fn sdp(media: &str) -> Arc<[u8]> {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{media}")
        .into_bytes()
        .into()
}

/// How the story begins.
#[derive(Clone)]
pub struct Setup {
    pub offer: Option<Arc<[u8]>>,
    pub to: &'static str,
    pub supports_100rel: bool,
    pub p_early_media: bool,
    pub profile: Profile,
    pub lookup: StoreReply,
    /// Legs that get no ports.
    pub no_ports: Vec<LegId>,
    /// Sources that cannot be played.
    pub unplayable: Vec<Source>,
    /// B's 200 crosses our CANCEL.
    pub b_crosses: bool,
    /// The store takes this long to look somebody up.
    pub lookup_ms: u64,
    /// The spool cannot be kept.
    pub record_fails: bool,
    /// The packet path never says how the recording ended.
    pub never_syncs: bool,
    pub deposit_fails: bool,
    pub preview: Preview,
    /// What the store says when asked for a place; by default there is one without limits.
    pub place: PlaceReply,
    /// And how long it takes for that; 0: it is said at once, `None`: never.
    pub place_ms: Option<u64>,
    pub record_max_ms: u64,
    pub max_breadth: u8,
    pub is_loop: bool,
    pub own_sockets: Vec<SocketAddr>,
    /// What A's INVITE says beyond RFC 3261.
    pub further: Further,
    /// B is to be invited within this.
    pub fresh_ms: Option<u64>,
    pub route: &'static [&'static str],
    pub emergency: Option<segue_policy::Emergency>,
    /// Why there is no process that transcodes.
    pub no_transcoder: Option<&'static str>,
    /// Who answers subscribers that serve themselves.
    pub desk: Desk,
}

impl Default for Setup {
    /// A video caller without 100rel; a clip, 6 s hold, 20 s to answer, a greeting of 4 s, answered before it.
    fn default() -> Setup {
        let plan = Plan {
            mailbox: "bob".into(),
            targets: vec!["sip:bob@192.0.2.2:5070".into()],
            onward: false,
            plain: false,
            ring: Ring::Together,
            ring_ms: 15_000,
            clip: Some("ringback".into()),
            hold_on: segue_policy::HoldOn::Clip,
            hold_ms: 6_000,
            no_answer_ms: 20_000,
            greeting: Some("sorry".into()),
            answer_at: AnswerAt::Greeting,
            decided: segue_policy::Decided::default(),
            ..Plan::default()
        };
        let lookup = Lookup {
            plan,
            clip: Some(clip(1, "ringback", 10_000)),
            greeting: Some(clip(2, "sorry", 4_000)),
            beep: Some(clip(3, "beep", 1_000)),
            full: Some(clip(4, ".full", 6_000)),
            prompts: None,
            named: Vec::new(),
        };
        Setup {
            offer: Some(sdp(&format!("{AUDIO}{VIDEO}"))),
            to: "sip:bob@segue.example",
            supports_100rel: false,
            p_early_media: false,
            profile: Profile {
                name: "softphone".into(),
                ..Profile::default()
            },
            lookup: StoreReply::Found(Box::new(lookup)),
            no_ports: Vec::new(),
            unplayable: Vec::new(),
            b_crosses: false,
            lookup_ms: 0,
            record_fails: false,
            never_syncs: false,
            deposit_fails: false,
            preview: Preview::Takes(1_500),
            place: PlaceReply::Reserved {
                longest_ms: u64::MAX,
                longest_bytes: None,
            },
            place_ms: Some(0),
            record_max_ms: 180_000,
            max_breadth: 60,
            is_loop: false,
            own_sockets: Vec::new(),
            further: Further::default(),
            fresh_ms: None,
            route: &[],
            emergency: None,
            no_transcoder: None,
            desk: Desk::default(),
        }
    }
}

impl Setup {
    pub fn lookup(mut self, change: impl FnOnce(&mut Lookup)) -> Setup {
        if let StoreReply::Found(lookup) = &mut self.lookup {
            change(lookup);
        }
        self
    }

    pub fn answer_at(&mut self, at: AnswerAt) {
        *self = self.clone().lookup(|l| l.plan.answer_at = at);
    }

    pub fn call(self) -> Stage {
        Stage::new(self)
    }
}

/// One call in virtual time.
pub struct Stage {
    call: Call,
    setup: Setup,
    epoch: Instant,
    now_ms: u64,
    due: BTreeMap<(u64, u64), Input>,
    counter: u64,
    /// Everything the call said, with the time.
    said: Vec<(u64, Output)>,
    recording_since: Option<u64>,
    pub manifest: Option<RecordingManifest>,
    record: Option<CallRecord>,
    /// Legs whose end is on its way, and those whose end has come.
    terminating: Vec<LegId>,
    terminated: Vec<LegId>,
}

impl Stage {
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    fn new(setup: Setup) -> Stage {
        let epoch = Instant::now();
        let incoming = Incoming {
            sip_call_id: "abc@10.0.0.1".into(),
            from: "sip:alice@10.0.0.1".parse().unwrap(),
            from_name: Some("Alice".into()),
            request_uri: setup.to.parse().unwrap(),
            further: Further {
                secret: Some(KeySecret([5; 32])),
                invite_by: setup.fresh_ms.map(|ms| epoch + Duration::from_millis(ms)),
                ..setup.further.clone()
            },
            offer: setup.offer.clone(),
            supports_100rel: setup.supports_100rel,
            requires_100rel: false,
            p_early_media: setup.p_early_media,
            max_forwards: 69,
            max_breadth: setup.max_breadth,
            is_loop: setup.is_loop,
            own_sockets: setup.own_sockets.clone().into(),
            own_names: [("segue.example".to_owned(), 5060)].into(),
            to: setup.to.parse().unwrap(),
            to_name: Some("Bob".into()),
            emergency: setup.emergency,
            route: setup.route.iter().map(|hop| hop.parse().unwrap()).collect(),
            source: "10.0.0.1".parse().unwrap(),
            profile: Arc::new(setup.profile.clone()),
        };
        let config = CallConfig {
            record_min_ms: 1_000,
            record_max_ms: setup.record_max_ms,
            record_silence_ms: 5_000,
            early_max_ms: 170_000,
        };
        let now = Now {
            mono: epoch,
            wall: UnixMs(1_700_000_000_000),
        };
        let mut stage = Stage {
            call: Call::incoming(incoming, Arc::new(config), now, 42),
            setup,
            epoch,
            now_ms: 0,
            due: BTreeMap::new(),
            counter: 0,
            said: Vec::new(),
            recording_since: None,
            manifest: None,
            record: None,
            terminating: Vec::new(),
            terminated: Vec::new(),
        };
        stage.drain();
        stage.run_ms(1);
        stage
    }

    pub fn a(&mut self) -> Agent<'_> {
        Agent::new(self, A)
    }

    pub fn b(&mut self) -> Agent<'_> {
        Agent::new(self, B)
    }

    /// One of the callee's targets, from 1.
    pub fn target(&mut self, number: u32) -> Agent<'_> {
        Agent::new(self, LegId(number))
    }

    pub fn media(&mut self, event: MediaEvent) {
        self.input(Input::Media(event));
    }

    pub fn operator_hangs_up(&mut self) {
        self.input(Input::Operator(Operator::HangUp));
    }

    pub fn press(&mut self, key: char) {
        self.media(MediaEvent::Dtmf { leg: A, key });
    }

    /// Let time pass, with all that happens in it.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        loop {
            let event = self.due.keys().next().map(|(at, _)| *at);
            let timer = self.call.poll_timeout().map(|at| {
                let exact = at.saturating_duration_since(self.epoch);
                u64::try_from(exact.as_micros().div_ceil(1_000))
                    .unwrap()
                    .max(self.now_ms)
            });
            let Some(next) = event.into_iter().chain(timer).min().filter(|at| *at <= end) else {
                break;
            };
            self.now_ms = next;
            match self.due.first_entry().filter(|e| e.key().0 <= next) {
                Some(entry) => {
                    let input = entry.remove();
                    self.input(input);
                }
                None => {
                    self.input(Input::Timeout);
                    let later = self
                        .call
                        .poll_timeout()
                        .is_none_or(|at| at > self.epoch + Duration::from_millis(next));
                    assert!(later, "a timer that was due is due again at once");
                }
            }
        }
        self.now_ms = end;
    }

    pub fn input(&mut self, input: Input) {
        if let Input::Leg(leg, LegEvent::Terminated) = &input {
            assert!(!self.terminated.contains(leg), "the stage terminates a leg twice");
            self.terminated.push(*leg);
        }
        let now = self.now();
        self.call.handle(input, now);
        self.drain();
    }

    fn now(&self) -> Now {
        let wall = UnixMs(1_700_000_000_000 + i64::try_from(self.now_ms).unwrap());
        Now {
            mono: self.epoch + Duration::from_millis(self.now_ms),
            wall,
        }
    }

    fn after(&mut self, ms: u64, input: Input) {
        self.counter += 1;
        self.due.insert((self.now_ms + ms, self.counter), input);
    }

    /// A leg terminates once.
    fn terminate_after(&mut self, ms: u64, leg: LegId) {
        if !self.terminating.contains(&leg) && !self.terminated.contains(&leg) {
            self.terminating.push(leg);
            self.after(ms, Input::Leg(leg, LegEvent::Terminated));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            assert!(self.record.is_none(), "an output after Ended: {output:?}");
            self.react(&output);
            self.said.push((self.now_ms, output));
        }
    }

    /// What `sip`, the packet path and the store do by their contracts.
    fn react(&mut self, output: &Output) {
        match output {
            Output::Leg(leg, LegAction::Refuse(_) | LegAction::Bye { .. }) => {
                self.terminate_after(5, *leg);
            }
            Output::Leg(leg, LegAction::Cancel { .. }) if self.setup.b_crosses => {
                self.after(
                    5,
                    Input::Leg(
                        *leg,
                        LegEvent::Answered {
                            sdp: Some(sdp(&format!("{AUDIO}{VIDEO}"))),
                            fork: None,
                        },
                    ),
                );
            }
            Output::Leg(leg, LegAction::Cancel { .. }) => {
                let phrase = "Request Terminated".into();
                self.after(
                    5,
                    Input::Leg(
                        *leg,
                        LegEvent::Failed {
                            status: 487,
                            phrase,
                            local: false,
                            said: Said::default(),
                        },
                    ),
                );
                self.terminate_after(6, *leg);
            }
            Output::Leg(..) => {}
            Output::Media(action) => self.react_to_media(action),
            Output::Store(action) => self.react_of_store(action),
            Output::Ended(record) => self.record = Some(record.as_ref().clone()),
        }
    }

    fn react_to_media(&mut self, action: &MediaAction) {
        match action {
            MediaAction::Open { leg, .. } if self.setup.no_ports.contains(leg) => {
                self.after(
                    0,
                    Input::Media(MediaEvent::OpenFailed {
                        leg: *leg,
                        why: "no free port".into(),
                    }),
                );
            }
            MediaAction::Open { leg, .. } => {
                let audio = 30_000 + u16::try_from(leg.0).unwrap() * 4;
                let ports = Ports {
                    address: "203.0.113.1".parse().unwrap(),
                    audio,
                    video: audio + 2,
                };
                self.after(0, Input::Media(MediaEvent::Opened { leg: *leg, ports }));
            }
            MediaAction::Play { source, .. } if self.setup.unplayable.contains(source) => {
                self.after(
                    0,
                    Input::Media(MediaEvent::PlayFailed {
                        source: *source,
                        why: "clip gone".into(),
                    }),
                );
            }
            MediaAction::PlayFrom { .. } => self.react_to_play_from(action),
            MediaAction::Play { source, clip, .. } if self.desk_clip(clip.clip).is_some() => {
                self.react_to_desk_clip(*source, clip.clip);
            }
            MediaAction::Play { source, clip, looping } => {
                self.after(PACKET_MS, Input::Media(MediaEvent::FirstPacket { source: *source }));
                let StoreReply::Found(lookup) = &self.setup.lookup else {
                    panic!("played without a lookup")
                };
                let known = [&lookup.clip, &lookup.greeting, &lookup.beep, &lookup.full];
                let take = store::TAKE_MS;
                let duration = known
                    .into_iter()
                    .flatten()
                    .chain(&lookup.named)
                    .find(|c| c.id == clip.clip)
                    .map_or(take, |c| c.duration_ms);
                if !looping {
                    self.after(duration, Input::Media(MediaEvent::Played { source: *source }));
                }
            }
            MediaAction::Say { turn, prompts, .. } => {
                let saying_ms = SAYING_MS * prompts.len() as u64;
                self.after(saying_ms, Input::Media(MediaEvent::Said { turn: *turn }));
            }
            MediaAction::Record { manifest, .. } => {
                self.manifest = Some(manifest.clone());
                self.recording_since = Some(self.now_ms);
            }
            MediaAction::StopRecording { .. } if self.setup.never_syncs => {}
            MediaAction::StopRecording { .. } if self.setup.record_fails => {
                self.after(
                    5,
                    Input::Media(MediaEvent::RecordFailed {
                        why: "fsync failed".into(),
                    }),
                );
            }
            MediaAction::StopRecording { .. } => {
                let duration_ms = self.now_ms - self.recording_since.expect("stopped what was not recorded");
                self.after(5, Input::Media(MediaEvent::Recorded { duration_ms }));
            }
            MediaAction::Transcode { kind } => {
                let event = match self.setup.no_transcoder {
                    None => MediaEvent::Transcoding { kind: *kind },
                    Some(why) => MediaEvent::NoTranscoder {
                        kind: *kind,
                        why: why.into(),
                    },
                };
                self.after(0, Input::Media(event));
            }
            MediaAction::Rules { .. }
            | MediaAction::EndTranscode { .. }
            | MediaAction::Configure { .. }
            | MediaAction::Poster { .. }
            | MediaAction::BehindNat { .. }
            | MediaAction::Bridge { .. }
            | MediaAction::Hear { .. }
            | MediaAction::TellKey { .. }
            | MediaAction::CloseLeg { .. }
            | MediaAction::Close => {}
        }
    }

    /// All actions on the packet path.
    pub fn media_actions(&self) -> Vec<MediaAction> {
        let media = |(_, o): &(u64, Output)| {
            if let Output::Media(action) = o {
                Some(action.clone())
            } else {
                None
            }
        };
        self.said.iter().filter_map(media).collect()
    }

    /// When something was said, and what.
    pub fn times(&self) -> &[(u64, Output)] {
        &self.said
    }

    pub fn phase(&self) -> segue_records::PhaseName {
        self.call.phase()
    }

    pub fn called_back(&self) -> &[segue_records::CallBackFacts] {
        self.call.called_back()
    }

    pub fn engages(&self) -> String {
        match self.call.engages() {
            segue_call::Engages::At(target) => target.to_string(),
            other => format!("{other:?}"),
        }
    }

    pub fn has_ended(&self) -> bool {
        self.record.is_some()
    }

    /// The call's record, after everything has ended as it must.
    pub fn finish(&mut self) -> CallRecord {
        self.run_ms(1_000);
        let record = self
            .record
            .clone()
            .unwrap_or_else(|| panic!("not ended, in {:?}: {:#?}", self.call.phase(), self.said));
        assert!(
            matches!(self.said.last(), Some((_, Output::Ended(_)))),
            "Ended is the last output"
        );
        assert_eq!(self.call.poll_timeout(), None, "no timer is left");
        let opened = self
            .said
            .iter()
            .any(|(_, o)| matches!(o, Output::Media(MediaAction::Open { .. })));
        let closed = self
            .said
            .iter()
            .filter(|(_, o)| matches!(o, Output::Media(MediaAction::Close)))
            .count();
        assert_eq!(closed, usize::from(opened), "media is closed once if it was opened");
        assert!(
            !record.why.is_empty() && record.why.ends_with('.') && !record.why.contains('\n'),
            "{:?}",
            record.why
        );
        let said = |what: fn(&Output) -> bool| 1 + self.said.iter().filter(|(_, o)| what(o)).count();
        let invited = said(|o| matches!(o, Output::Leg(_, LegAction::Invite { .. })));
        assert_eq!(invited, self.terminated.len(), "every leg has terminated");
        let tried = said(|o| matches!(o, Output::Media(MediaAction::Open { leg, .. }) if *leg != A));
        assert_eq!(record.legs.len(), tried, "every target that was tried is in the record");
        record
    }
}

fn name(leg: LegId) -> &'static str {
    match leg {
        A => "a",
        B => "b",
        _ => "another b",
    }
}
