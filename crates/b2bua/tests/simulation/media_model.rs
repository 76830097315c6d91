//! The packet path as calls see it: it plays, switches, records, and at times fails. Checks that it is used in order.

use std::collections::{BTreeMap, BTreeSet};

use segue_b2bua::CallKey;
use segue_call::{LegId, MediaAction, MediaEvent, Ports, Source};
use segue_mailbox::StopCause;

use crate::dice::{Dice, MS, S, Time};

/// What the seed does to the packet path of a call.
#[derive(Debug, Clone)]
pub struct MediaScript {
    pub no_ports_for: Option<LegId>,
    /// This source cannot be played.
    pub unplayable: Option<Source>,
    /// This source's first packet never leaves and nothing says so.
    pub stuck: Option<Source>,
    /// The recording cannot be kept.
    pub record_fails: bool,
    /// A leaves only silence, from this long after the recording began.
    pub silent_after: Option<Time>,
    /// A's packets cease this long after the recording began.
    pub rtp_gone_after: Option<Time>,
}

impl MediaScript {
    pub fn plain() -> MediaScript {
        let (no_ports_for, unplayable, stuck) = (None, None, None);
        MediaScript {
            no_ports_for,
            unplayable,
            stuck,
            record_fails: false,
            silent_after: None,
            rtp_gone_after: None,
        }
    }

    pub fn by(dice: &mut Dice) -> MediaScript {
        MediaScript {
            no_ports_for: dice.maybe(3, |d| d.pick(&[LegId::A, LegId(1)])),
            unplayable: dice.maybe(6, |d| d.pick(&[Source::Clip, Source::Greeting, Source::Beep])),
            stuck: dice.maybe(3, |d| d.pick(&[Source::Clip, Source::Greeting, Source::Beep])),
            record_fails: dice.chance(4),
            silent_after: dice.maybe(20, |d| d.between(0, 10 * S)),
            rtp_gone_after: dice.maybe(10, |d| d.between(0, 10 * S)),
        }
    }
}

/// How long each source plays.
pub fn playing_time(source: Source) -> Time {
    match source {
        Source::Clip => 5 * S,
        Source::Greeting => 3 * S,
        Source::Beep => 400 * MS,
        Source::Notice => 4 * S,
        Source::Message => 20 * S,
        Source::Take => 6 * S,
        Source::Prompt | Source::Callee => Time::MAX,
    }
}

/// Something that will happen on the packet path, unless what it belongs to is over by then.
#[derive(Debug, Clone)]
pub enum Fires {
    /// Whatever else happens.
    Event(MediaEvent),
    /// While this turn of what A hears lasts.
    Turn(u64, MediaEvent),
    /// While the recording runs.
    WhileRecording(MediaEvent),
    /// The first packet of a source leaves.
    First(u64, Source, bool),
    /// Are packets still coming?
    Listen(u64),
}

pub struct MediaModel {
    dice: Dice,
    anchors: BTreeMap<CallKey, Anchor>,
    ports: u16,
    /// How long each message plays, by its clip.
    pub lengths: BTreeMap<i64, Time>,
}

struct Anchor {
    script: MediaScript,
    /// Each leg with its last `Configure`.
    legs: BTreeMap<LegId, Option<MediaAction>>,
    /// Counts what A was given to hear; also the id of a bridge.
    turn: u64,
    sources: u64,
    /// Something was said: keys are heard meanwhile.
    is_spoken_to: bool,
    recording: Option<Time>,
    /// What is left of the message that plays.
    left: Option<Time>,
    bridged: Option<LegId>,
    gone: BTreeSet<LegId>,
    closed: bool,
}

impl MediaModel {
    pub fn new(dice: Dice) -> MediaModel {
        MediaModel {
            dice,
            anchors: BTreeMap::new(),
            ports: 20_000,
            lengths: BTreeMap::new(),
        }
    }

    /// Whether each anchor was closed.
    pub fn all_closed(&self) -> bool {
        self.anchors.values().all(|a| a.closed)
    }

    /// Whether a key of A's would be noticed.
    pub fn hears_keys(&self, key: CallKey) -> bool {
        self.anchors
            .get(&key)
            .is_some_and(|a| !a.closed && (a.sources > 0 || a.is_spoken_to))
    }

    /// Performs an action: what will happen, and when.
    pub fn perform(
        &mut self,
        now: Time,
        key: CallKey,
        action: &MediaAction,
        script: &MediaScript,
    ) -> Vec<(Time, Fires)> {
        if *action == MediaAction::Close && !self.anchors.contains_key(&key) {
            return Vec::new();
        }
        let anchor = self.anchors.entry(key).or_insert_with(|| Anchor {
            script: script.clone(),
            legs: BTreeMap::new(),
            turn: 0,
            sources: 0,
            is_spoken_to: false,
            recording: None,
            left: None,
            bridged: None,
            gone: BTreeSet::new(),
            closed: false,
        });
        assert!(!anchor.closed, "{action:?} after Close");
        let dice = &mut self.dice;
        let soon = now + dice.between(0, 4 * MS);
        match action {
            MediaAction::Open { leg, .. } => {
                assert!(anchor.legs.insert(*leg, None).is_none(), "{leg:?} opened twice");
                let event = if anchor.script.no_ports_for == Some(*leg) {
                    MediaEvent::OpenFailed {
                        leg: *leg,
                        why: "no free port".into(),
                    }
                } else {
                    self.ports += 4;
                    let address = "10.0.0.254".parse().expect("an address");
                    let ports = Ports {
                        address,
                        audio: self.ports,
                        video: self.ports + 2,
                    };
                    MediaEvent::Opened { leg: *leg, ports }
                };
                vec![(soon, Fires::Event(event))]
            }
            MediaAction::Configure { leg, .. } => {
                let known = anchor
                    .legs
                    .get_mut(leg)
                    .unwrap_or_else(|| panic!("{leg:?} configured but not open"));
                *known = Some(action.clone());
                Vec::new()
            }
            MediaAction::Play { source, clip, looping } => {
                assert!(
                    anchor.legs.get(&LegId::A).is_some_and(Option::is_some),
                    "played before A is configured"
                );
                assert!(clip.audio.is_some() || clip.video.is_some(), "a clip without a stream");
                anchor.turn += 1;
                if anchor.script.unplayable == Some(*source) {
                    let why = "its cache is broken".into();
                    return vec![(soon, Fires::Event(MediaEvent::PlayFailed { source: *source, why }))];
                }
                if anchor.script.stuck == Some(*source) {
                    return Vec::new();
                }
                vec![(
                    now + dice.between(MS, 40 * MS),
                    Fires::First(anchor.turn, *source, *looping),
                )]
            }
            MediaAction::Say { turn, prompts, .. } => {
                assert!(
                    anchor.legs.get(&LegId::A).is_some_and(Option::is_some),
                    "said before A is configured"
                );
                anchor.is_spoken_to = true;
                anchor.turn += 1;
                let over = now + S * prompts.len() as Time + dice.between(0, 20 * MS);
                vec![(over, Fires::Turn(anchor.turn, MediaEvent::Said { turn: *turn }))]
            }
            MediaAction::Poster { .. } | MediaAction::BehindNat { .. } => Vec::new(),
            MediaAction::PlayFrom { source, clip, from_ms } => {
                anchor.turn += 1;
                let whole = self.lengths.get(&clip.clip).copied().unwrap_or(playing_time(*source));
                anchor.left = Some(whole.saturating_sub(from_ms * MS));
                vec![(
                    now + dice.between(MS, 40 * MS),
                    Fires::First(anchor.turn, *source, false),
                )]
            }
            MediaAction::Hear { leg } => {
                for end in [LegId::A, *leg] {
                    assert!(
                        anchor.legs.get(&end).is_some_and(Option::is_some),
                        "heard before {end:?} is configured"
                    );
                }
                Vec::new()
            }
            MediaAction::Bridge { leg } => {
                for end in [LegId::A, *leg] {
                    assert!(
                        anchor.legs.get(&end).is_some_and(Option::is_some),
                        "bridged before {end:?} is configured"
                    );
                }
                anchor.turn += 1;
                anchor.bridged = Some(*leg);
                let mut fires = vec![(now + 10 * S, Fires::Listen(anchor.turn))];
                let mut at = now + dice.between(MS, 60 * MS);
                for event in switched(anchor, Source::Callee, Some(20)) {
                    fires.push((at, Fires::Turn(anchor.turn, event)));
                    at += dice.between(0, 800 * MS);
                }
                fires
            }
            MediaAction::Record {
                longest_ms, silence_ms, ..
            } => {
                assert!(anchor.recording.is_none(), "two recordings at a time");
                if anchor.script.record_fails && dice.chance(50) {
                    let why = "the spool cannot be made".into();
                    return vec![(soon, Fires::Event(MediaEvent::RecordFailed { why }))];
                }
                anchor.recording = Some(now);
                let mut ends = vec![(now + longest_ms * MS, StopCause::Longest)];
                if let (Some(silence_ms), Some(after)) = (silence_ms, anchor.script.silent_after) {
                    ends.push((now + after + silence_ms * MS, StopCause::Silence));
                }
                if let Some(after) = anchor.script.rtp_gone_after {
                    ends.push((now + after + 10 * S, StopCause::RtpGone));
                }
                let (at, cause) = ends.into_iter().min_by_key(|(at, _)| *at).expect("one at least");
                let mut fires = vec![(at, Fires::WhileRecording(MediaEvent::RecordingStopped { cause }))];
                if dice.chance(20) {
                    fires.push((
                        now + 250 * MS,
                        Fires::WhileRecording(MediaEvent::KeyFrameWanted { leg: LegId::A }),
                    ));
                }
                fires
            }
            MediaAction::StopRecording { .. } => {
                let Some(began) = anchor.recording.take() else {
                    return Vec::new();
                };
                let event = if anchor.script.record_fails {
                    MediaEvent::RecordFailed {
                        why: "fsync failed".into(),
                    }
                } else {
                    MediaEvent::Recorded {
                        duration_ms: (now - began) / MS,
                    }
                };
                vec![(now + dice.between(0, 120 * MS), Fires::Event(event))]
            }
            MediaAction::Rules { .. } => {
                assert!(anchor.legs.values().all(Option::is_none), "rules come first");
                Vec::new()
            }
            MediaAction::TellKey { leg, .. } => {
                let bridged = [Some(LegId::A), anchor.bridged].contains(&Some(*leg)) && anchor.bridged.is_some();
                assert!(bridged, "a key to {leg:?}, which is not bridged");
                Vec::new()
            }
            MediaAction::Transcode { .. } | MediaAction::EndTranscode { .. } => {
                panic!("the profile transcodes nothing")
            }
            MediaAction::CloseLeg { leg } => {
                assert!(anchor.legs.remove(leg).is_some(), "{leg:?} closed but not open");
                if anchor.bridged == Some(*leg) {
                    anchor.bridged = None;
                }
                Vec::new()
            }
            MediaAction::Close => {
                anchor.closed = true;
                Vec::new()
            }
        }
    }

    /// What comes of something that was to happen now. `dark` says since when a leg's phone is dark.
    pub fn fire(
        &mut self,
        now: Time,
        key: CallKey,
        fires: Fires,
        dark: impl Fn(LegId) -> Option<Time>,
    ) -> (Vec<MediaEvent>, Vec<(Time, Fires)>) {
        let Some(anchor) = self.anchors.get_mut(&key).filter(|a| !a.closed) else {
            return Default::default();
        };
        match fires {
            Fires::Event(event) => (vec![event], Vec::new()),
            Fires::Turn(turn, event) if turn == anchor.turn => (vec![event], Vec::new()),
            Fires::WhileRecording(event) if anchor.recording.is_some() => (vec![event], Vec::new()),
            Fires::First(turn, source, looping) if turn == anchor.turn => {
                let mut events = vec![MediaEvent::FirstPacket { source }];
                let gap = (anchor.sources > 0).then_some(20);
                anchor.sources += 1;
                events.extend(switched(anchor, source, gap));
                let left = anchor.left.take().filter(|_| source == Source::Message);
                let end = (
                    now + left.unwrap_or(playing_time(source)),
                    Fires::Turn(turn, MediaEvent::Played { source }),
                );
                (events, if looping { Vec::new() } else { vec![end] })
            }
            Fires::Listen(turn) if turn == anchor.turn && anchor.bridged.is_some() => {
                let mut events = Vec::new();
                for (leg, configured) in &anchor.legs {
                    let expected = matches!(configured, Some(MediaAction::Configure { audio: Some(a), .. }) if a.direction.receives());
                    if expected && dark(*leg).is_some_and(|since| since + 10 * S <= now) && anchor.gone.insert(*leg) {
                        events.push(MediaEvent::RtpGone { leg: *leg });
                    }
                }
                (events, vec![(now + 10 * S, Fires::Listen(turn))])
            }
            _ => Default::default(),
        }
    }
}

/// One `Switched` for each stream of A's.
fn switched(anchor: &Anchor, to: Source, gap_ms: Option<u64>) -> Vec<MediaEvent> {
    let Some(Some(MediaAction::Configure { audio, video, .. })) = anchor.legs.get(&LegId::A) else {
        return Vec::new();
    };
    audio
        .iter()
        .chain(video)
        .map(|s| MediaEvent::Switched {
            to,
            kind: s.kind,
            gap_ms,
        })
        .collect()
}
