//! SRTP on the legs of a call (RFC 4568): what A may use, what callees are offered, and another try with RTP where they refuse it. An
//! answer never falls back: that is seen to by [`Side`].

use std::fmt;

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_policy::{Srtp, SrtpTo};
use segue_sdp::Side;

use crate::{
    cx::Cx,
    io::{KeySecret, LegId, Ports},
    ringing::Target,
    settling::Waits,
};

/// Makes a secret for the keys of each side; empty where the call was given none, and there is no SRTP.
pub(crate) struct Secrets(Option<StdRng>);

impl Secrets {
    pub fn new(secret: Option<KeySecret>) -> Secrets {
        // A generator made for secrets: what one side's keys are tells nothing of another's.
        Secrets(secret.map(|KeySecret(secret)| StdRng::from_seed(secret)))
    }

    fn secure(&mut self, side: Side, takes: segue_sdp::Srtp, offers: bool) -> Side {
        let Some(stream) = &mut self.0 else { return side };
        let mut secret = [0; 32];
        stream.fill_bytes(&mut secret);
        side.secured(takes, offers, secret)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(not shown)")
    }
}

impl Cx {
    /// Our side towards A. Who calls for help may use what it has.
    pub fn caller_side(&mut self, ports: Ports) -> Side {
        let takes = match (self.invite.profile.srtp, self.invite.emergency) {
            (Srtp::Off, _) => segue_sdp::Srtp::Off,
            (Srtp::Require, None) => segue_sdp::Srtp::Require,
            (Srtp::Allow | Srtp::Require, _) => segue_sdp::Srtp::Allow,
        };
        let side = Side::new(self.ids.session_id(), ports.address, ports.audio, ports.video);
        self.secrets.secure(side, takes, takes == segue_sdp::Srtp::Require)
    }

    /// Our side towards a target. `over_rtp`: it has refused SRTP.
    pub fn callee_side(&mut self, ports: Ports, over_rtp: bool) -> Side {
        let (takes, offers) = match self.srtp_to() {
            SrtpTo::Off => (segue_sdp::Srtp::Off, false),
            SrtpTo::Offer => (segue_sdp::Srtp::Allow, true),
            SrtpTo::Require => (segue_sdp::Srtp::Require, true),
            SrtpTo::AsCaller => (segue_sdp::Srtp::Allow, self.caller_is_secure()),
        };
        let side = Side::new(self.ids.session_id(), ports.address, ports.audio, ports.video);
        self.secrets.secure(side, takes, offers && !over_rtp)
    }

    /// The same target once more, with RTP: it has refused SRTP ("not acceptable here", or a type that it does not know), and not SRTP
    /// alone is wanted. It is another call with an offer of its own, not an answer that falls back.
    pub fn once_more_over_rtp(&self, leg: LegId, status: u16) -> Option<Target> {
        let branch = self.legs.b.get(leg)?;
        let refused = matches!(status, 415 | 488) && branch.side.as_ref().is_some_and(Side::is_secure);
        let target = self.once_more(leg)?;
        (refused && self.srtp_to() != SrtpTo::Require && self.legs.b.has_room()).then_some(Target {
            wider: branch.wider,
            over_rtp: true,
            ..target
        })
    }

    /// Who helps is reached by whatever it takes.
    fn srtp_to(&self) -> SrtpTo {
        match (self.invite.profile.srtp_to, self.invite.emergency) {
            (SrtpTo::Require, Some(_)) => SrtpTo::Offer,
            (srtp_to, _) => srtp_to,
        }
    }

    /// Whether A's media is SRTP, or will be.
    fn caller_is_secure(&self) -> bool {
        match &self.a.waits {
            Waits::ForCallee(offer) => offer.is_secure(),
            Waits::No | Waits::ForOffer(_) | Waits::ForAnswer => {
                let side = self.a.side.as_ref();
                side.is_some_and(Side::is_secure) || self.invite.profile.srtp == Srtp::Require
            }
        }
    }
}
