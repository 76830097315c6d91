//! The reference: what each side may say and must get, kept as plainly as can be.

mod media;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use segue_call::{LegAction, LegEvent, LegId, Output, Source, StoreAction, StoreReply};
use segue_records::CallRecord;
use segue_sip_wire::Uri;

pub const A: LegId = LegId(0);

/// How far a leg is, as its peer and `sip` know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    NotMade,
    Inviting,
    /// A: 200 without its ACK.
    Answered,
    Up,
    Cancelled,
    /// Ended, its `Terminated` is to come.
    Ended,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorder {
    Off,
    Running,
    Stopping,
}

/// The place for A's message, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    NotAsked,
    Asked,
    Held {
        longest_ms: u64,
        longest_bytes: Option<u64>,
    },
    Full,
    /// The store could not say.
    Unknown,
    Released,
    /// A deposit has it.
    Deposited,
}

#[derive(Debug)]
pub struct Reference {
    pub a: Leg,
    /// The branches, by leg.
    pub b: BTreeMap<LegId, Leg>,
    /// A's reliable responses without a PRACK: whether each has the answer.
    pub unpracked: VecDeque<bool>,
    /// A got SDP in a reliable response, in an unreliable one.
    pub reliable_sdp: bool,
    pub sdp: Option<Vec<u8>>,
    /// Opened legs that await their reply.
    pub opening: Vec<LegId>,
    pub ports: Vec<LegId>,
    pub closed: bool,
    pub playing: Option<(Source, bool)>,
    pub first_packet_owed: bool,
    pub bridged: bool,
    pub recorder: Recorder,
    pub looking_up: bool,
    pub depositing: bool,
    pub deposited: bool,
    /// What is recorded now, or was last.
    pub take: String,
    /// Recordings that are synced: each becomes a message or is dropped, and not both.
    pub kept: BTreeSet<String>,
    /// A recording that is to be a clip for A.
    pub previewing: Option<String>,
    /// What is being said.
    pub saying: Option<u32>,
    pub place: Place,
    /// When the store was asked for a place, and what it is for.
    reserved_for: Option<(String, String)>,
    /// Legs whose peer waits for an answer to its offer.
    pub owed: Vec<LegId>,
    /// Legs that have an offer of ours.
    pub ours: Vec<LegId>,
    /// A's INVITE had no offer.
    pub delayed: bool,
    /// Our offer went into the 200.
    pub offered_in_200: bool,
    pub invited: bool,
    /// Whether those who were invited were told that A stays to watch.
    pub noted: Option<bool>,
    /// The branches that asked for ports.
    pub tried: Vec<LegId>,
    max_breadth: usize,
    targets: Vec<(LegId, Uri)>,
    /// Legs that refused the codec: their targets may be called once more.
    refused_codec: Vec<LegId>,
    /// A process that transcodes is there; it is asked for; it has ended by itself.
    pub transcoding: bool,
    pub transcoder_owed: bool,
    pub transcoder_was_lost: bool,
    /// The same of the one for pictures.
    pub making_pictures: bool,
    pub picture_maker_owed: bool,
    redirects: usize,
    pub ended: Option<CallRecord>,
    configured: Vec<LegId>,
    lookups: u32,
    endings: BTreeMap<LegId, u32>,
    /// Our 200 waits for a PRACK, or for the answer to an offer in the early dialog.
    pub held: bool,
    /// It has been said and will wait.
    pub to_hold: bool,
    /// It has gone out.
    answered: bool,
    /// A's mandatory preconditions are not met yet.
    pub lacks_resources: bool,
    /// Nothing may be played or recorded.
    pub plain: bool,
}

impl Reference {
    pub fn new(max_breadth: usize, delayed: bool) -> Reference {
        Reference {
            a: Leg::Inviting,
            b: BTreeMap::new(),
            unpracked: VecDeque::new(),
            reliable_sdp: false,
            sdp: None,
            opening: Vec::new(),
            ports: Vec::new(),
            closed: false,
            playing: None,
            first_packet_owed: false,
            bridged: false,
            recorder: Recorder::Off,
            looking_up: false,
            depositing: false,
            deposited: false,
            take: String::new(),
            kept: BTreeSet::new(),
            previewing: None,
            saying: None,
            place: Place::NotAsked,
            reserved_for: None,
            owed: Vec::new(),
            ours: Vec::new(),
            delayed,
            offered_in_200: false,
            invited: false,
            noted: None,
            tried: Vec::new(),
            max_breadth,
            targets: Vec::new(),
            refused_codec: Vec::new(),
            transcoding: false,
            transcoder_owed: false,
            transcoder_was_lost: false,
            making_pictures: false,
            picture_maker_owed: false,
            redirects: 0,
            ended: None,
            configured: Vec::new(),
            lookups: 0,
            endings: BTreeMap::new(),
            held: false,
            to_hold: false,
            answered: false,
            lacks_resources: false,
            plain: false,
        }
    }

    /// What is asked for and has no reply yet: mailbox and message.
    pub fn asked_for_place(&self) -> Option<(String, String)> {
        self.reserved_for.clone().filter(|_| self.place == Place::Asked)
    }

    pub fn place_replied(&mut self, reply: &StoreReply) {
        self.place = match reply {
            StoreReply::Reserved {
                longest_ms,
                longest_bytes,
                ..
            } => Place::Held {
                longest_ms: *longest_ms,
                longest_bytes: *longest_bytes,
            },
            StoreReply::MailboxFull { .. } => Place::Full,
            _ => Place::Unknown,
        };
    }

    pub fn leg(&self, leg: LegId) -> Leg {
        match leg {
            A => self.a,
            leg => self.b.get(&leg).copied().unwrap_or(Leg::NotMade),
        }
    }

    fn answer_is_unpracked(&self) -> bool {
        self.unpracked.contains(&true)
    }

    /// Whether a 200 to A has to wait (RFC 3262 §3, RFC 3311 §5.1).
    pub fn answer_waits(&self) -> bool {
        self.a == Leg::Answered && (self.answer_is_unpracked() || self.ours.contains(&A) || self.owed.contains(&A))
    }

    fn set(&mut self, leg: LegId, state: Leg) {
        match leg {
            A => self.a = state,
            leg => drop(self.b.insert(leg, state)),
        }
    }

    /// Whether a leg's peer can do this now.
    pub fn is_possible(&self, leg: LegId, event: &LegEvent) -> bool {
        use LegEvent as E;
        let state = self.leg(leg);
        match event {
            // The others `sip` answers itself: 500, 491.
            E::Offer { .. } if self.owed.contains(&leg) || self.ours.contains(&leg) => return false,
            E::OfferWithdrawn => return self.owed.contains(&leg),
            E::OfferRefused { .. } => return self.ours.contains(&leg),
            _ => {}
        }
        if leg == A {
            return match state {
                Leg::Inviting => match event {
                    E::Cancelled { .. } | E::Terminated | E::Bye { .. } => true,
                    E::Prack | E::PrackTimeout => !self.unpracked.is_empty(),
                    E::Offer { .. } => self.reliable_sdp && !self.answer_is_unpracked(),
                    E::Key { .. } => true,
                    E::OfferAnswered { .. } => {
                        self.delayed && self.unpracked.front() == Some(&true) || self.ours.contains(&A)
                    }
                    _ => false,
                },
                Leg::Answered if self.held => match event {
                    E::Cancelled { .. } | E::Terminated | E::Bye { .. } | E::Key { .. } => true,
                    E::Prack | E::PrackTimeout => !self.unpracked.is_empty(),
                    E::AnswerSent => !self.answer_waits(),
                    _ => false,
                },
                // What crosses our 200 on its way is `sip`'s to settle; the core takes it too.
                Leg::Answered => match event {
                    E::OfferAnswered { .. } => self.offered_in_200,
                    E::AnswerHeld => self.to_hold,
                    event => !matches!(
                        event,
                        E::Prack
                            | E::AnswerSent
                            | E::Provisional { .. }
                            | E::EarlyMedia { .. }
                            | E::Answered { .. }
                            | E::Failed { .. }
                            | E::Redirected { .. }
                            | E::CrossedCancel
                    ),
                },
                Leg::Up => {
                    matches!(
                        event,
                        E::Bye { .. }
                            | E::Offer { .. }
                            | E::OfferAnswered { .. }
                            | E::Key { .. }
                            | E::Asked { .. }
                            | E::Refreshed
                            | E::AckTimeout
                            | E::Terminated
                    )
                }
                Leg::Ended | Leg::Cancelled => matches!(event, E::Terminated),
                Leg::NotMade | Leg::Gone => false,
            };
        }
        match state {
            Leg::Inviting => matches!(
                event,
                E::Provisional { .. }
                    | E::EarlyMedia { .. }
                    | E::Answered { .. }
                    | E::Offer { .. }
                    | E::Failed { .. }
                    | E::Redirected { .. }
                    | E::CrossedCancel
                    | E::Terminated
            ),
            Leg::Cancelled => matches!(
                event,
                E::Provisional { .. }
                    | E::EarlyMedia { .. }
                    | E::Answered { .. }
                    | E::Failed { .. }
                    | E::Redirected { .. }
                    | E::CrossedCancel
                    | E::Terminated
            ),
            Leg::Answered | Leg::Up => {
                matches!(
                    event,
                    E::Bye { .. }
                        | E::Offer { .. }
                        | E::OfferAnswered { .. }
                        | E::Key { .. }
                        | E::Asked { .. }
                        | E::Refreshed
                        | E::AckTimeout
                        | E::Terminated
                )
            }
            Leg::Ended => matches!(event, E::Terminated),
            Leg::NotMade | Leg::Gone => false,
        }
    }

    /// Whether each peer that waits for an answer does so because the other is being asked.
    pub fn offers_are_in_hand(&self) -> bool {
        self.owed.iter().all(|leg| self.ours.iter().any(|asked| asked != leg))
    }

    fn no_offers(&mut self, leg: LegId) {
        self.owed.retain(|l| *l != leg);
        self.ours.retain(|l| *l != leg);
    }

    /// A peer has done something possible.
    pub fn happens(&mut self, leg: LegId, event: &LegEvent) {
        use LegEvent as E;
        let state = self.leg(leg);
        match event {
            E::Prack => drop(self.unpracked.pop_front()),
            E::Acked => self.set(A, Leg::Up),
            E::AnswerHeld => {
                self.to_hold = false;
                (self.held, self.answered) = (true, false);
            }
            E::AnswerSent => (self.held, self.answered) = (false, true),
            // Our refusal is still owed.
            E::PrackTimeout => {}
            E::Cancelled { .. }
            | E::AckTimeout
            | E::Bye { .. }
            | E::Failed { .. }
            | E::Redirected { .. }
            | E::CrossedCancel => {
                let codec = matches!(
                    event,
                    E::Failed {
                        status: 488 | 606,
                        local: false,
                        ..
                    }
                );
                if codec && state == Leg::Inviting {
                    self.refused_codec.push(leg);
                }
                self.no_offers(leg);
                *self.endings.entry(leg).or_default() += 1;
                self.set(leg, Leg::Ended);
            }
            // The BYE is owed when it crosses the CANCEL.
            E::Answered { .. } => self.set(leg, Leg::Up),
            E::Terminated => {
                self.no_offers(leg);
                if !matches!(state, Leg::Ended) {
                    *self.endings.entry(leg).or_default() += 1;
                }
                self.set(leg, Leg::Gone);
            }
            E::Offer { .. } => self.owed.push(leg),
            E::OfferWithdrawn => self.owed.retain(|l| *l != leg),
            E::OfferAnswered { .. } if leg == A && state == Leg::Inviting && !self.ours.contains(&A) => {
                self.unpracked.pop_front();
            }
            E::OfferAnswered { .. } if leg == A && state == Leg::Answered => self.set(A, Leg::Up),
            E::OfferAnswered { .. } | E::OfferRefused { .. } => self.ours.retain(|l| *l != leg),
            E::Provisional { .. } | E::EarlyMedia { .. } | E::Key { .. } | E::Asked { .. } | E::Refreshed => {}
        }
    }

    /// The call says something: may it?
    pub fn said(&mut self, output: &Output) {
        assert!(self.ended.is_none(), "{output:?} after Ended");
        match output {
            Output::Leg(leg, action) => self.leg_said(*leg, action),
            Output::Media(action) => self.media_said(action),
            Output::Store(StoreAction::Mailbox(_)) => panic!("nobody calls a service here"),
            Output::Store(StoreAction::Lookup { .. }) => {
                self.lookups += 1;
                assert_eq!(self.lookups, 1, "one lookup");
                self.looking_up = true;
            }
            Output::Store(StoreAction::Reserve {
                message_id, mailbox, ..
            }) => {
                assert_eq!(self.place, Place::NotAsked, "one place a call");
                assert!(self.configured.contains(&A) && self.recorder == Recorder::Off);
                self.place = Place::Asked;
                self.reserved_for = Some((mailbox.clone(), message_id.clone()));
            }
            Output::Store(StoreAction::Release { mailbox, message_id }) => {
                assert!(matches!(self.place, Place::Held { .. }), "released in {:?}", self.place);
                assert_eq!(self.reserved_for, Some((mailbox.clone(), message_id.clone())));
                self.place = Place::Released;
            }
            Output::Store(StoreAction::Hold { message_id }) => {
                assert!(self.kept.contains(message_id), "nothing to leave alone");
            }
            Output::Store(StoreAction::Preview { message_id }) => {
                assert!(self.kept.contains(message_id), "only what is synced can be shown");
                self.previewing = Some(message_id.clone());
            }
            Output::Store(StoreAction::Discard { message_id }) => {
                assert!(self.kept.remove(message_id), "only what is synced is dropped");
            }
            Output::Store(StoreAction::Deposit { message_id, .. }) => {
                assert!(self.kept.remove(message_id), "only what is synced is a message");
                assert!(!self.depositing && !self.deposited, "one message a call");
                let is_its_own = self.reserved_for.as_ref().is_some_and(|(_, id)| id == message_id);
                if matches!(self.place, Place::Held { .. }) {
                    assert!(is_its_own, "a place is held for another recording");
                    self.place = Place::Deposited;
                }
                self.depositing = true;
            }
            Output::Ended(record) => {
                assert_eq!(self.a, Leg::Gone, "A's leg is gone");
                assert!(
                    self.b.values().all(|leg| *leg == Leg::Gone),
                    "B's legs are gone: {:?}",
                    self.b
                );
                assert!(
                    self.closed || self.ports.is_empty() && self.opening.is_empty(),
                    "media is closed"
                );
                assert!(!self.depositing, "saving is done");
                assert!(self.kept.is_empty(), "a recording is lost: {:?}", self.kept);
                // What was never synced may become a message yet.
                let may_come = self.recorder == Recorder::Stopping;
                assert!(
                    may_come || !matches!(self.place, Place::Held { .. }),
                    "a place is held for nobody"
                );
                assert_eq!(
                    self.endings.len(),
                    1 + self.b.len(),
                    "every leg ended: {:?}",
                    self.endings
                );
                assert!(self.endings.values().all(|n| *n == 1), "each once: {:?}", self.endings);
                assert_eq!(record.message_id.is_some(), self.deposited);
                assert_eq!(
                    record.answered_at.is_some(),
                    self.answered,
                    "A is charged for a 200 that was sent, and for no other"
                );
                assert_eq!(record.invited_at.is_some(), self.invited);
                assert_eq!(record.legs.len(), 1 + self.tried.len());
                assert!(self.b.len() <= self.tried.len());
                assert!(record.why.ends_with('.'));
                self.ended = Some(record.as_ref().clone());
            }
        }
    }

    fn leg_said(&mut self, leg: LegId, action: &LegAction) {
        let state = self.leg(leg);
        let ended = |this: &mut Reference, next| {
            this.no_offers(leg);
            *this.endings.entry(leg).or_default() += 1;
            this.set(leg, next);
        };
        match action {
            LegAction::Progress { reliable, sdp, .. } => {
                assert_eq!((leg, state), (A, Leg::Inviting), "a provisional response");
                self.a_gets(sdp.as_deref(), *reliable);
                if *reliable {
                    self.unpracked.push_back(sdp.is_some());
                }
            }
            LegAction::Answer { sdp } => {
                assert_eq!((leg, state), (A, Leg::Inviting), "a 200");
                self.a_gets(sdp.as_deref(), false);
                assert!(self.sdp.is_some(), "a 200 without any answer before");
                self.offered_in_200 = self.delayed && sdp.is_some();
                self.a = Leg::Answered;
                self.to_hold = self.answer_waits();
                self.answered = true;
            }
            LegAction::Refuse(info) => {
                assert_eq!(leg, A);
                assert!(matches!(state, Leg::Inviting | Leg::Answered), "refused in {state:?}");
                assert!(
                    state == Leg::Inviting || self.held || info.status == 504,
                    "only a 200 that waits is undone"
                );
                assert!((400..700).contains(&info.status));
                ended(self, Leg::Ended);
            }
            LegAction::Invite {
                sdp,
                target,
                max_breadth,
                trail,
                note,
                ..
            } => {
                assert!(leg != A && state == Leg::NotMade, "one INVITE");
                assert!(self.ports.contains(&leg) && !sdp.is_empty());
                assert!(
                    self.invited || !self.answer_is_unpracked(),
                    "B is never invited before the PRACK"
                );
                assert!(!self.lacks_resources, "B is invited without A's resources");
                assert!(!self.bridged, "nobody is invited once somebody has answered");
                let before: Vec<_> = self.targets.iter().filter(|(_, uri)| uri == target).collect();
                match before[..] {
                    [] => {}
                    [(leg, _)] => assert!(self.refused_codec.contains(leg), "{target} twice"),
                    _ => panic!("{target} more than twice"),
                }
                self.targets.push((leg, target.clone()));
                assert!(*max_breadth >= 1, "a branch needs a breadth");
                self.redirects += usize::from(trail.redirected.is_some());
                assert!(self.redirects <= 5, "at most five are called for a 3xx");
                let inviting = self.b.values().filter(|leg| **leg == Leg::Inviting).count();
                assert!(inviting < self.max_breadth, "more branches than Max-Breadth allows");
                assert!(
                    self.noted.is_none_or(|noted| noted == note.is_some()),
                    "all targets are told the same"
                );
                self.noted = Some(note.is_some());
                self.set(leg, Leg::Inviting);
                self.invited = true;
            }
            LegAction::Cancel { .. } => {
                assert!(leg != A && state == Leg::Inviting, "a CANCEL");
                // Its end is its 487, its BYE if a 200 crosses, or its Terminated.
                self.set(leg, Leg::Cancelled);
            }
            LegAction::Bye { .. } => {
                assert!(matches!(state, Leg::Answered | Leg::Up), "BYE to {leg:?} in {state:?}");
                assert!(leg != A || !self.held, "BYE to A, whose 200 waits");
                ended(self, Leg::Ended);
            }
            LegAction::AcceptOffer { .. } | LegAction::RefuseOffer { .. } => {
                assert!(self.owed.contains(&leg), "an answer without an offer");
                self.owed.retain(|l| *l != leg);
            }
            LegAction::Offer { sdp } => {
                let early = leg == A && state == Leg::Inviting && self.reliable_sdp && !self.answer_is_unpracked();
                assert!(
                    early || matches!(state, Leg::Answered | Leg::Up),
                    "an offer in {state:?}"
                );
                assert!((self.bridged || early) && !sdp.is_empty());
                assert!(
                    !self.ours.contains(&leg) && !self.owed.contains(&leg),
                    "two offers at a time"
                );
                self.ours.push(leg);
            }
            LegAction::Ask { of, .. } => {
                assert!(self.bridged && *of != leg, "asked in {state:?}");
                assert!(matches!(state, Leg::Answered | Leg::Up), "INFO in {state:?}");
            }
            LegAction::Refresh => assert!(self.bridged && matches!(state, Leg::Answered | Leg::Up)),
            LegAction::DeclineAsk { .. } => assert!(matches!(state, Leg::Answered | Leg::Up), "{state:?}"),
            LegAction::AskKeyFrame => assert!(matches!(state, Leg::Up), "INFO in {state:?}"),
            LegAction::TellKey { .. } => {
                assert!(self.bridged && matches!(state, Leg::Up), "a key in {state:?}");
            }
        }
    }

    /// One answer, and none after a reliable one.
    fn a_gets(&mut self, sdp: Option<&[u8]>, reliable: bool) {
        let Some(sdp) = sdp else { return };
        assert!(!self.reliable_sdp, "SDP after a reliable answer");
        assert!(self.sdp.as_deref().is_none_or(|first| first == sdp), "another answer");
        self.sdp = Some(sdp.to_vec());
        self.reliable_sdp |= reliable;
    }
}
