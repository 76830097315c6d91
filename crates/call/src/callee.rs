//! B's side: its ports, what it is offered and what it answers.

use std::sync::Arc;

use segue_sdp::{Agreed, Description, SdpError, Side, WarnCode, Warning};
use segue_sip_wire::Uri;

use crate::{
    cx::Cx,
    io::{LegAction, MediaAction, Ports},
    legs::{B, Leg},
};

/// B's ports, offer and answer.
#[derive(Debug, Default)]
pub(crate) struct Callee {
    leased: bool,
    pub side: Option<Side>,
    /// What B first answered: re-offers keep its codecs.
    pub answer: Option<Agreed>,
    /// The streams as last agreed.
    pub agreed: Option<Agreed>,
}

impl Callee {
    /// Whether there were ports to give back; they are not ours any more.
    pub fn take_ports(&mut self) -> bool {
        std::mem::take(&mut self.leased)
    }
}

impl Cx {
    /// Ask for B's ports.
    pub fn lease_b(&mut self) {
        self.b.leased = true;
        self.media(MediaAction::Open { leg: B });
    }

    /// There are none.
    pub fn lease_b_failed(&mut self) {
        self.b.leased = false;
    }

    /// INVITE to B, offering what A was answered.
    pub fn invite_b(&mut self, target: Uri, ports: Ports) {
        let Some(like) = self.a.answer().cloned() else { return };
        let mut side = Side::new(self.ids.session_id(), ports.address, ports.audio, ports.video);
        let sdp = side.offer(&like);
        self.b.side = Some(side);
        self.legs.b = Some(Leg::Inviting);
        self.add_leg_record(String::new(), target.to_string());
        self.note_invited();
        let invite = LegAction::Invite {
            target,
            from: self.invite.from.clone(),
            from_name: self.invite.from_name.clone(),
            sdp,
            max_forwards: self.invite.max_forwards,
        };
        self.leg(B, invite);
    }

    /// Read B's answer and tell the packet path.
    pub fn b_answered(&mut self, sdp: Option<Arc<[u8]>>) -> Result<(), SdpError> {
        let nothing = || SdpError::Unusable(Warning::new(WarnCode::Miscellaneous, "a 200 without an answer"));
        let side = self.b.side.as_mut().ok_or_else(nothing)?;
        let answer = Description::parse(&sdp.ok_or_else(nothing)?)?;
        let agreed = side.read_answer(&answer)?;
        self.media(MediaAction::Configure {
            leg: B,
            audio: agreed.audio.clone(),
            video: agreed.video.clone(),
        });
        self.b.answer = Some(agreed.clone());
        self.b.agreed = Some(agreed);
        Ok(())
    }
}
