//! The callee's side: a branch for each target that is tried, with a leg, ports, an offer and an answer of its own.
//!
//! Branches share no ports. Phones that answer at the same moment all send, and behind one address their packets look alike:
//! a stream latches only what came to its own branch, and a loser's packets reach nobody.

use std::sync::Arc;

use segue_policy::PreconditionsToCallee;
use segue_records::LegRecord;
use segue_sdp::{Agreed, SdpError, Side};
use segue_sip_wire::Uri;

use crate::{
    cx::Cx,
    early::{Fork, Settled},
    io::{LegAction, LegId, MediaAction, Ports, Towards, Trail, Way},
    legs::Leg,
    offers::remember,
    reason,
    ringing::Target,
};

/// Most branches of one call; the packet path has room for these and A.
pub(crate) const BRANCHES_MAX: usize = 15;

/// All branches of a call, in the order they were tried. They never go away: what is left of one is for the record.
#[derive(Debug, Default)]
pub(crate) struct Branches(Vec<Branch>);

/// One target that is tried.
#[derive(Debug)]
pub(crate) struct Branch {
    pub target: Uri,
    pub leg: Leg,
    /// It is the callee as A called it.
    as_called: bool,
    /// It is reached by the call's way on, not by its own host.
    onward: bool,
    /// Whose 3xx led here.
    redirected_by: Option<LegId>,
    /// Why a rule of the callee's forwards the caller to it.
    forwarded_for: Option<u16>,
    /// It has refused what A was answered: it is offered more.
    pub wider: bool,
    /// It was offered all that A offers.
    pub all: bool,
    preference: u16,
    /// It has refused SRTP, and is asked again with RTP.
    over_rtp: bool,
    leased: bool,
    pub side: Option<Side>,
    /// What it first answered: re-offers keep its codecs.
    pub answer: Option<Agreed>,
    /// The streams as last agreed.
    pub agreed: Option<Agreed>,
    /// It has said that it takes no offers within the session.
    pub refuses_offers: bool,
    /// Its early dialogs that have answered.
    pub forks: Vec<Fork>,
}

impl Branch {
    /// It is a phone of the callee's own: neither a 3xx nor a rule led there.
    pub fn is_callees(&self) -> bool {
        self.redirected_by.is_none() && self.forwarded_for.is_none()
    }

    /// A later agreement than the first.
    pub fn agree(&mut self, agreed: Agreed) {
        if let Some(answer) = &mut self.answer {
            remember(answer, &agreed);
        }
        self.agreed = Some(agreed);
    }
}

impl Branches {
    pub fn get(&self, leg: LegId) -> Option<&Branch> {
        self.0.get(place(leg)?)
    }

    pub fn get_mut(&mut self, leg: LegId) -> Option<&mut Branch> {
        self.0.get_mut(place(leg)?)
    }

    pub fn all_gone(&self) -> bool {
        self.0.iter().all(|branch| branch.leg == Leg::Gone)
    }

    /// Whether this URI has been tried (RFC 3261 §8.1.3.4: none twice).
    pub fn has_tried(&self, uri: &Uri) -> bool {
        self.0.iter().any(|branch| branch.target.matches(uri))
    }

    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.0.len() < BRANCHES_MAX
    }

    pub fn legs(&self) -> impl Iterator<Item = LegId> + use<> {
        (1..).map(LegId).take(self.0.len())
    }
}

/// Where a leg is among the branches: they are numbered from 1.
fn place(leg: LegId) -> Option<usize> {
    usize::try_from(leg.0.checked_sub(1)?).ok()
}

/// The way of an INVITE (RFC 7044 §9.2, §10): the URI that was dialled, then each target whose 3xx led here with that 3xx, then
/// this one. All are children of the first, numbered as they were tried.
fn trail_to(dialled: &Uri, branches: &Branches, leg: LegId, records: &[LegRecord]) -> Trail {
    let mut way = vec![leg];
    // No branch was redirected by a later one, so this ends.
    while let Some(by) = way
        .last()
        .and_then(|leg| branches.get(*leg))
        .and_then(|b| b.redirected_by)
    {
        way.push(by);
    }
    let status = |step: LegId| records.get(usize::try_from(step.0).ok()?)?.status;
    let by = way.get(1..).unwrap_or_default().to_vec();
    let forwarded_for = branches.get(leg).and_then(|branch| branch.forwarded_for);
    let redirected = way.get(1).map(|by| status(*by).unwrap_or(302)).or(forwarded_for);
    let dialled = dialled.without_headers();
    let mut entries = vec![format!("<{dialled}>;index=1")];
    for step in way.into_iter().rev() {
        let Some(branch) = branches.get(step) else { continue };
        let uri = branch.target.without_headers();
        let why = match status(step).filter(|_| step != leg) {
            Some(status) => format!("?Reason=SIP%3Bcause%3D{status}"),
            None => String::new(),
        };
        // How a target was found we know of our own: of a Contact only who sent it does (§10.4).
        let how = match (branch.redirected_by, uri.user() == dialled.user()) {
            (Some(_), _) => "",
            // "There was no change in the Request-URI" (RFC 7044 §5).
            (None, true) if uri == dialled => ";np=1",
            (None, true) => ";rc=1",
            (None, false) => ";mp=1",
        };
        entries.push(format!("<{uri}{why}>;index=1.{}{how}", step.0));
    }
    Trail {
        entries,
        redirected,
        by,
    }
}

impl Cx {
    /// Begin a branch: its ports are asked for. `None` when there are too many.
    pub fn try_target(&mut self, target: Target) -> Option<LegId> {
        if !self.legs.b.has_room() {
            return None;
        }
        self.add_leg_record(String::new(), target.uri.to_string());
        let way = self.way_to(target.onward);
        let first = way.hop.or(way.route.into_iter().next());
        let towards = Towards::Target(first.unwrap_or_else(|| target.uri.clone()));
        self.legs.b.0.push(Branch {
            target: target.uri,
            leg: Leg::Leasing,
            as_called: target.as_called,
            onward: target.onward,
            redirected_by: target.redirected_by,
            forwarded_for: target.forwarded_for,
            wider: target.wider,
            all: false,
            preference: target.preference,
            over_rtp: target.over_rtp,
            leased: true,
            side: None,
            answer: None,
            agreed: None,
            refuses_offers: false,
            forks: Vec::new(),
        });
        let leg = LegId(u32::try_from(self.legs.b.0.len()).ok()?);
        self.media(MediaAction::Open { leg, towards });
        Some(leg)
    }

    /// How a target is reached: as its caller or the profile's next hop says, else by the profile's outbound proxy (RFC 3261
    /// §8.1.2), which stands in a Route of ours; the Request-URI stays.
    fn way_to(&self, onward: bool) -> Way {
        let mut way = self.way.clone().filter(|_| onward).unwrap_or_default();
        if way.route.is_empty() && way.hop.is_none() {
            let proxy = self.invite.profile.outbound_proxy.as_ref();
            way.route.extend(proxy.and_then(|proxy| proxy.uri().parse().ok()));
        }
        way
    }

    /// There are no ports for a branch: it is over before it was said anything.
    pub fn lease_failed(&mut self, leg: LegId) {
        if let Some(branch) = self.legs.b.get_mut(leg).filter(|b| b.leg == Leg::Leasing) {
            branch.leased = false;
            branch.leg = Leg::Gone;
            self.note_leg(leg, None, Some(reason::NO_CIRCUIT.to_owned()));
        }
    }

    /// A branch has its ports: INVITE, offering what A was answered, or could be, or more to who has refused that. Whether it was sent.
    pub fn invite_target(&mut self, leg: LegId, ports: Ports, max_breadth: u8) -> bool {
        let over_rtp = self.legs.b.get(leg).is_some_and(|branch| branch.over_rtp);
        let mut side = self.callee_side(ports, over_rtp);
        let offer = match self.legs.b.get(leg).is_some_and(|branch| branch.wider) {
            true => self.offer_wider(&mut side),
            false => self.offer_to_target(&mut side).ok(),
        };
        let all = self.offered_whole().is_some();
        let Some(mut sdp) = offer else {
            return false;
        };
        if self.invite.profile.preconditions_to_callee == PreconditionsToCallee::Offer {
            sdp = side.offer_preconditions();
        }
        let Some(branch) = self.legs.b.get_mut(leg).filter(|b| b.leg == Leg::Leasing) else {
            return false;
        };
        branch.side = Some(side);
        branch.all = all;
        branch.leg = Leg::Inviting;
        let target = branch.target.clone();
        let (onward, as_called) = (branch.onward, branch.as_called);
        let mut way = self.way_to(onward);
        if as_called {
            way.to = Some((self.invite.to.clone(), self.invite.to_name.clone()));
        }
        let trail = trail_to(&self.invite.request_uri, &self.legs.b, leg, &self.record.legs);
        self.note_invited();
        let note = Some(&self.invite.profile.prolonged_note).filter(|note| self.stays && !note.is_empty());
        let note = note.cloned();
        let invite = LegAction::Invite {
            target,
            way: Box::new(way),
            from: self.invite.from.clone(),
            from_name: self.invite.from_name.clone(),
            sdp,
            max_forwards: self.invite.max_forwards,
            max_breadth,
            trail,
            note,
        };
        self.leg(leg, invite);
        true
    }

    /// The target of a branch that has refused what A was answered, to be offered more.
    pub fn once_more(&self, leg: LegId) -> Option<Target> {
        let branch = self.legs.b.get(leg)?;
        Some(Target {
            uri: branch.target.clone(),
            as_called: branch.as_called,
            onward: branch.onward,
            redirected_by: branch.redirected_by,
            forwarded_for: branch.forwarded_for,
            wider: true,
            over_rtp: branch.over_rtp,
            preference: branch.preference,
        })
    }

    /// Read a branch's answer and tell the packet path.
    pub fn target_answered(
        &mut self,
        leg: LegId,
        fork: Option<&Arc<str>>,
        sdp: Option<Arc<[u8]>>,
    ) -> Result<(), SdpError> {
        let Settled { side, answer, agreed } = self.settled(leg, fork, sdp)?;
        if let Some(branch) = self.legs.b.get_mut(leg) {
            branch.side = Some(side);
            branch.answer = Some(answer);
            branch.agreed = Some(agreed.clone());
        }
        self.settle_with_callee(&agreed)?;
        self.bring_caller_to(&agreed)?;
        self.media(MediaAction::Configure {
            leg,
            audio: agreed.audio,
            video: agreed.video,
        });
        Ok(())
    }

    /// End a branch whatever its state, by CANCEL or BYE, and give back its ports.
    pub fn end_branch(&mut self, leg: LegId, reason: &str) {
        let Some(branch) = self.legs.b.get_mut(leg) else { return };
        let reason = Some(reason.to_owned());
        match branch.leg {
            Leg::Leasing => {
                branch.leg = Leg::Gone;
                self.note_leg(leg, None, reason);
            }
            Leg::Inviting => {
                branch.leg = Leg::Cancelled;
                self.leg(leg, LegAction::Cancel { reason });
            }
            Leg::Answered | Leg::Up => {
                branch.leg = Leg::Ended;
                self.leg(leg, LegAction::Bye { reason });
            }
            Leg::Cancelled | Leg::Ended | Leg::Gone => {}
        }
        self.close_branch_media(leg);
    }

    /// End all branches.
    pub fn end_branches(&mut self, reason: &str) {
        for leg in self.legs.b.legs() {
            self.end_branch(leg, reason);
        }
    }

    /// End all branches but the one that has won.
    pub fn end_other_branches(&mut self, winner: LegId, reason: &str) {
        for leg in self.legs.b.legs().filter(|leg| *leg != winner) {
            self.end_branch(leg, reason);
        }
    }

    /// Give back a branch's ports, once.
    pub fn close_branch_media(&mut self, leg: LegId) {
        let open = self.media_is_open();
        if let Some(branch) = self.legs.b.get_mut(leg)
            && open
            && std::mem::take(&mut branch.leased)
        {
            self.media(MediaAction::CloseLeg { leg });
        }
    }
}
