//! BYE, both ways (RFC 3261 §15).

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method};

use super::{
    core::Core,
    session::{Farewell, Phase, Session},
};
use crate::{
    api::{CommandError, Event},
    transaction::store::TransactionId,
};

impl Session {
    /// Ends the session, however far it is.
    pub(crate) fn bye(&mut self, core: &mut Core, now: Instant, farewell: Farewell) -> Result<(), CommandError> {
        match &mut self.phase {
            Phase::Ringing(_) => {
                let Farewell { reason, along } = farewell;
                let headers: Vec<_> = reason.map(|reason| ("Reason", reason)).into_iter().collect();
                self.refuse_along(core, now, 480, &headers, None, &along)
            }
            Phase::Calling(_) => self.cancel(core, now, farewell.reason),
            Phase::Confirmed(confirmed) if confirmed.accept.is_some() => {
                confirmed.bye.get_or_insert(farewell);
                Ok(())
            }
            Phase::Confirmed(_) => {
                self.send_bye(core, now, farewell);
                Ok(())
            }
            Phase::Refused(_) | Phase::Ending(_) | Phase::Over => Err(self.wrong_state("BYE")),
        }
    }

    pub(crate) fn send_bye(&mut self, core: &mut Core, now: Instant, farewell: Farewell) {
        self.withdraw_offer(core, now);
        self.withdraw_asks(core, now);
        self.ours = None;
        core.stop_all(self.id);
        let Phase::Confirmed(confirmed) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        let mut dialog = confirmed.dialog;
        let Farewell { reason, along } = farewell;
        let draft = dialog
            .request(Method::Bye)
            .maybe("Reason", reason)
            .header("User-Agent", core.config.user_agent.as_str());
        let draft = along.asked(draft, None);
        core.request(now, &draft, dialog.next_hop(), Some(self.id));
        self.phase = Phase::Ending(Box::new(dialog));
    }

    /// Our BYE was answered, or will never be.
    pub(crate) fn on_bye_done(&mut self, core: &mut Core) {
        if matches!(self.phase, Phase::Ending(_)) {
            self.end(core);
        }
    }

    /// The peer's BYE.
    pub(crate) fn on_bye(&mut self, core: &mut Core, now: Instant, transaction: TransactionId, request: &Arc<Message>) {
        let reasons = request.list("Reason");
        let bye = Some(request.clone());
        match &self.phase {
            // B may not end an early dialog (§15): the INVITE's answer is the way.
            Phase::Calling(_) | Phase::Over => self.reply(core, now, transaction, request, 481, &[]),
            // Two BYEs cross, or the refusal and the BYE: ours is under way.
            Phase::Ending(_) | Phase::Refused(_) => self.reply(core, now, transaction, request, 200, &[]),
            Phase::Confirmed(_) => {
                self.withdraw_offer(core, now);
                self.withdraw_asks(core, now);
                self.reply(core, now, transaction, request, 200, &[]);
                self.emit(core, |session| Event::Bye {
                    session,
                    reasons,
                    request: bye,
                });
                self.end(core);
            }
            // "The UAS MUST still respond to any pending requests received for that dialog. It is RECOMMENDED that a
            // 487 … be generated" (§15.1.2).
            Phase::Ringing(_) => {
                self.reply(core, now, transaction, request, 200, &[]);
                self.emit(core, |session| Event::Bye {
                    session,
                    reasons,
                    request: bye,
                });
                let _ = self.refuse(core, now, 487, &[]);
            }
        }
    }

    /// "If the response for a request within a dialog is a 481 … or a 408 …, the UAC SHOULD terminate the dialog"
    /// (§12.2.1.2).
    pub(crate) fn on_dialog_lost(&mut self, core: &mut Core, now: Instant, status: u16) {
        if matches!(self.phase, Phase::Confirmed(_)) {
            let reasons = vec![format!("SIP;cause={status}")];
            let told = reasons.first().cloned();
            self.emit(core, |session| Event::Bye {
                session,
                reasons,
                request: None,
            });
            self.send_bye(core, now, told.into());
        }
    }
}
