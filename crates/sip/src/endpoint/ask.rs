//! What one side asks within a confirmed dialog that means nothing here: an INFO of others' making (RFC 6086), to be asked of the other
//! side by somebody who knows both; its answer goes back. And an UPDATE without an offer, which has its answer (RFC 3311 §5.2).

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method, full_name};

use super::{
    Endpoint,
    core::Core,
    session::{Phase, Session},
};
use crate::{
    along::Along,
    api::{Ask, CommandError, Event, SessionId},
    transaction::store::TransactionId,
};

/// What has been asked on a session and has no answer.
#[derive(Default)]
pub(crate) struct Asks {
    /// By the peer.
    theirs: Vec<(Ask, TransactionId, Arc<Message>)>,
    /// By us.
    ours: Vec<(Ask, TransactionId)>,
}

/// The most that each may have at a time.
const ASKS_MAX: usize = 16;

impl Endpoint {
    /// INFO with what goes along: its body too. One `AskAnswered` follows, unless the session ends.
    ///
    /// # Errors
    /// Before the dialog is confirmed, or when too many wait for their answers.
    pub fn ask(&mut self, now: Instant, session: SessionId, along: &Along) -> Result<Ask, CommandError> {
        let mut asked = Err(CommandError::NoSuchSession);
        self.command(session, |session, core| {
            asked = session.ask(core, now, along);
            Ok(())
        })?;
        asked
    }

    /// Answers an `Asked` with 200 to 699.
    ///
    /// # Errors
    /// When it has its answer.
    pub fn answer_ask(
        &mut self,
        now: Instant,
        session: SessionId,
        ask: Ask,
        (status, headers): (u16, &[(&str, String)]),
        along: &Along,
    ) -> Result<(), CommandError> {
        self.command(session, |session, core| {
            let (transaction, request) = session.take_ask(ask)?;
            session.reply_along(core, now, transaction, &request, (status, headers), along);
            Ok(())
        })
    }

    /// Answers an `Asked` that nobody here takes: 469 for a package (RFC 6086 §4.2.2), else 415.
    ///
    /// # Errors
    /// When it has its answer.
    pub fn decline_ask(&mut self, now: Instant, session: SessionId, ask: Ask) -> Result<(), CommandError> {
        self.command(session, |session, core| {
            let (transaction, request) = session.take_ask(ask)?;
            session.decline(core, now, transaction, &request);
            Ok(())
        })
    }

    /// UPDATE without an offer, for what goes along.
    ///
    /// # Errors
    /// Before the dialog is confirmed, while another offer or refresh is under way, and where the peer does not take it.
    pub fn update(&mut self, now: Instant, session: SessionId, along: &Along) -> Result<(), CommandError> {
        self.command(session, |session, core| {
            let wrong = session.wrong_state("UPDATE");
            session.update(core, now, along).then_some(()).ok_or(wrong)
        })
    }
}

/// Whether an UPDATE says more than that the session goes on.
pub(crate) fn says_more(update: &Message) -> bool {
    const OF_A_REFRESH: [&str; 18] = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Max-Forwards",
        "Route",
        "Record-Route",
        "Allow",
        "Supported",
        "Require",
        "User-Agent",
        "Session-Expires",
        "Min-SE",
        "Session-ID",
        "Content-Length",
        "Proxy-Authorization",
    ];
    let mut names = update.all_headers().map(|(name, _)| full_name(name));
    names.any(|name| !OF_A_REFRESH.iter().any(|of| of.eq_ignore_ascii_case(name)))
}

impl Session {
    /// The peer asks. False: it asks too much.
    pub(crate) fn asked(&mut self, core: &mut Core, transaction: TransactionId, request: &Arc<Message>) -> bool {
        if self.asks.theirs.len() >= ASKS_MAX {
            return false;
        }
        let ask = Ask(core.next_id());
        self.asks.theirs.push((ask, transaction, request.clone()));
        let request = request.clone();
        self.emit(core, |session| Event::Asked { session, ask, request });
        true
    }

    fn take_ask(&mut self, ask: Ask) -> Result<(TransactionId, Arc<Message>), CommandError> {
        let at = self.asks.theirs.iter().position(|(known, ..)| *known == ask);
        let at = at.ok_or_else(|| self.wrong_state("an answer to INFO"))?;
        let (_, transaction, request) = self.asks.theirs.swap_remove(at);
        Ok((transaction, request))
    }

    /// The dialog ends: "the UAS MUST still respond to any pending requests" (RFC 3261 §15.1.2).
    pub(crate) fn withdraw_asks(&mut self, core: &mut Core, now: Instant) {
        for (_, transaction, request) in std::mem::take(&mut self.asks.theirs) {
            self.reply(core, now, transaction, &request, 487, &[]);
        }
        self.asks.ours.clear();
    }

    fn ask(&mut self, core: &mut Core, now: Instant, along: &Along) -> Result<Ask, CommandError> {
        let wrong = self.wrong_state("INFO");
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return Err(wrong);
        };
        if self.asks.ours.len() >= ASKS_MAX {
            return Err(CommandError::QueueFull);
        }
        let draft = confirmed
            .dialog
            .request(Method::Info)
            .header("Contact", confirmed.dialog.contact.as_str())
            .header("User-Agent", core.config.user_agent.as_str());
        let draft = along.asked(draft, None);
        let transaction = core.request(now, &draft, confirmed.dialog.next_hop(), Some(self.id));
        let ask = Ask(core.next_id());
        self.asks.ours.push((ask, transaction));
        Ok(ask)
    }

    /// What we asked was challenged, and goes on in another transaction.
    pub(crate) fn ask_goes_on(&mut self, before: TransactionId, now: TransactionId) {
        for (_, transaction) in &mut self.asks.ours {
            if *transaction == before {
                *transaction = now;
            }
        }
    }

    /// The final response to an INFO of ours; `None`: there was none.
    pub(crate) fn on_ask_answered(&mut self, core: &mut Core, id: TransactionId, response: Option<&Arc<Message>>) {
        let Some(at) = self.asks.ours.iter().position(|(_, transaction)| *transaction == id) else {
            return;
        };
        let (ask, _) = self.asks.ours.swap_remove(at);
        let response = response.cloned();
        self.emit(core, |session| Event::AskAnswered { session, ask, response });
    }
}
