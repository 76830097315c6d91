//! The session timer of a dialog (RFC 4028): what is agreed in each 2xx, who refreshes, and when the session is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_sip_wire::{Message, Method, Refresher, SessionExpires};

use super::{
    Endpoint,
    core::{ALLOW, Core, SessionTimer, after},
    session::{OfferState, OurOffer, Phase, Session},
};
use crate::{
    along::Along,
    api::{CommandError, Event, Refreshes, SessionId, SessionInterval},
    transaction::store::TransactionId,
};

/// "The absolute minimum for the Session-Expires header field is 90 seconds" (§4).
const LEAST_S: u32 = 90;
/// How often a request is sent in all that is told of a longer interval each time (§7.3).
const TRIES_MAX: u8 = 4;
/// How often a refresh that was refused is tried again: a UA "SHOULD NOT continuously retry the request if the server
/// indicates the same error" (§10).
const RETRIES_MAX: u8 = 2;
/// Something else is under way that refreshes as well: look again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Reason of the BYE to and of a peer that did not refresh.
const EXPIRED: &str = "SIP;cause=408;text=\"Session expired\"";

/// See the module.
#[derive(Default)]
pub(crate) struct Interval {
    wish: SessionInterval,
    /// The largest Min-SE of a 422 or a request of the peer on this dialog; 0: none.
    told_s: u32,
    agreed: Option<Agreed>,
    /// Our UPDATE that is on its way.
    update: Option<TransactionId>,
    /// The peer takes no UPDATE, whatever its Allow says.
    no_update: bool,
    /// How often the request at hand was told of a longer interval.
    tries: u8,
    /// How often the refresh at hand was refused otherwise.
    refused: u8,
    /// The SDP that we said last: a re-INVITE that only refreshes says it again.
    pub said: Option<Arc<[u8]>>,
}

/// What the last 2xx says.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    interval_s: u32,
    we_refresh: bool,
}

impl Interval {
    pub(crate) fn of(wish: SessionInterval, said: Option<Arc<[u8]>>) -> Self {
        Self {
            wish,
            said,
            ..Self::default()
        }
    }

    /// The least that we take, and say where it is more than the default (§5).
    fn least_s(&self) -> u32 {
        LEAST_S.max(self.wish.min_se_s).max(self.told_s)
    }

    /// The headers of a request that makes or refreshes a session (§7.1, §7.4).
    fn asked(&self, initial: bool) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        let asked = match (self.agreed, initial) {
            (Some(agreed), _) => Some((agreed.interval_s, Some(role(agreed.we_refresh)))),
            (None, true) if self.wish.expires_s > 0 => Some((
                self.wish.expires_s,
                match self.wish.refreshes {
                    Refreshes::Negotiated => None,
                    Refreshes::We => Some(Refresher::Uac),
                    Refreshes::Peer => Some(Refresher::Uas),
                },
            )),
            (None, _) => None,
        };
        if let Some((interval_s, refresher)) = asked {
            let interval_s = interval_s.max(self.least_s());
            let asked = SessionExpires { interval_s, refresher };
            headers.push(("Session-Expires", asked.to_string()));
        }
        if self.least_s() > LEAST_S {
            headers.push(("Min-SE", self.least_s().to_string()));
        }
        headers
    }

    /// "The UAS MAY reject the … request with a 422 … if the session interval in the Session-Expires header field is smaller
    /// than the minimum interval defined by the UAS' local policy" (§9): only where the peer knows what that means. The least.
    fn too_small(&self, request: &Message) -> Option<u32> {
        let least_s = LEAST_S.max(self.wish.min_se_s);
        let asked = request.session_expires()?;
        (request.supports_timer() && asked.interval_s < least_s).then_some(least_s)
    }

    /// What we answer in a 2xx (§9), and keep to from now on. Empty: there is no session timer.
    fn agree_as_uas(&mut self, request: &Message) -> Vec<(&'static str, String)> {
        let supports = request.supports_timer();
        let asked = request.session_expires();
        self.told_s = self.told_s.max(request.min_se().unwrap_or_default());
        // What we may not go below.
        let floor_s = LEAST_S.max(request.min_se().unwrap_or_default());
        let wish_s = self.wish.expires_s.max(self.wish.min_se_s).max(floor_s);
        let wants = self.wish.expires_s > 0;
        let interval_s = match asked.map(|asked| asked.interval_s) {
            // "The UAS response MAY reduce its value … MUST NOT increase the value."
            Some(asked_s) if asked_s >= LEAST_S => Some(if wants { asked_s.min(wish_s) } else { asked_s }),
            Some(_) => None,
            None => (supports && wants).then_some(wish_s),
        };
        let said = asked.and_then(|asked| asked.refresher);
        // Table 2.
        let refresher = match (supports, said, self.agreed) {
            (false, ..) => Refresher::Uas,
            (true, Some(said), _) => said,
            (true, None, Some(agreed)) if agreed.we_refresh => Refresher::Uas,
            (true, None, Some(_)) => Refresher::Uac,
            (true, None, None) if self.wish.refreshes == Refreshes::We => Refresher::Uas,
            (true, None, None) => Refresher::Uac,
        };
        self.agreed = interval_s.map(|interval_s| Agreed {
            interval_s,
            we_refresh: refresher == Refresher::Uas,
        });
        let Some(interval_s) = interval_s else {
            return Vec::new();
        };
        let agreed = SessionExpires {
            interval_s,
            refresher: Some(refresher),
        };
        let mut headers = vec![("Session-Expires", agreed.to_string())];
        if supports {
            headers.push(("Require", "timer".to_owned()));
        }
        headers
    }

    /// What the peer's 2xx says (§7.2). One that says nothing to what we asked for leaves the refreshing to us, if we want a timer;
    /// else there is none.
    fn agree_as_uac(&mut self, response: &Message, initial: bool) {
        let asked_s = self.agreed.map(|agreed| agreed.interval_s);
        let asked_s = asked_s.or_else(|| initial.then_some(self.wish.expires_s));
        let asked_s = asked_s.filter(|_| self.wish.expires_s > 0);
        self.agreed = match response.session_expires() {
            Some(said) => Some(Agreed {
                // A peer that says less than it may would have us talk without end.
                interval_s: said.interval_s.max(LEAST_S),
                we_refresh: said.refresher != Some(Refresher::Uas),
            }),
            None => asked_s.map(|asked_s| Agreed {
                interval_s: asked_s.max(self.least_s()),
                we_refresh: true,
            }),
        };
    }

    /// A 422: the longer interval that it wants; false: asking again is of no use.
    fn told_longer(&mut self, response: &Message) -> bool {
        let least_s = response.min_se().unwrap_or_default();
        let longer = least_s > self.least_s() && self.tries < TRIES_MAX;
        if longer {
            self.told_s = least_s;
            self.tries = self.tries.saturating_add(1);
        }
        longer
    }
}

/// One of so many parts.
fn part(of: Duration, parts: u32) -> Duration {
    of.checked_div(parts).unwrap_or(of)
}

fn role(we: bool) -> Refresher {
    if we { Refresher::Uac } else { Refresher::Uas }
}

impl Endpoint {
    /// UAS: what we want of the session timer (RFC 4028).
    ///
    /// # Errors
    /// `IntervalTooSmall` when the INVITE asks for less than that: it is to be refused with 422 and that as Min-SE.
    pub fn want_interval(&mut self, session: SessionId, wish: SessionInterval) -> Result<(), CommandError> {
        self.command(session, |session, _| session.want_interval(wish))
    }
}

impl Session {
    fn want_interval(&mut self, wish: SessionInterval) -> Result<(), CommandError> {
        let wrong = self.wrong_state("a session interval");
        let Phase::Ringing(ringing) = &self.phase else {
            return Err(wrong);
        };
        self.interval.wish = wish;
        match self.interval.too_small(&ringing.invite) {
            Some(min_se_s) => Err(CommandError::IntervalTooSmall { min_se_s }),
            None => Ok(()),
        }
    }

    /// A request of the peer that would refresh a confirmed session with too short an interval: the least.
    pub(crate) fn refuses_interval(&self, request: &Message) -> Option<u32> {
        let confirmed = matches!(self.phase, Phase::Confirmed(_));
        self.interval.too_small(request).filter(|_| confirmed)
    }

    /// The headers of our 2xx to an INVITE, or to an UPDATE or re-INVITE in a confirmed dialog; the timer runs from now on.
    pub(crate) fn answer_interval(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Message,
    ) -> Vec<(&'static str, String)> {
        let headers = self.interval.agree_as_uas(request);
        self.start_interval(core, now);
        headers
    }

    /// A 2xx to our INVITE, or to an UPDATE or re-INVITE in a confirmed dialog: the timer runs from now on.
    pub(crate) fn interval_answered(&mut self, core: &mut Core, now: Instant, response: &Message, initial: bool) {
        if matches!(self.phase, Phase::Confirmed(_)) {
            self.interval.agree_as_uac(response, initial);
            self.start_interval(core, now);
        }
    }

    /// The headers of our re-INVITE or UPDATE with an offer.
    pub(crate) fn asked_interval(&self) -> Vec<(&'static str, String)> {
        match self.phase {
            Phase::Confirmed(_) => self.interval.asked(false),
            _ => Vec::new(),
        }
    }

    /// "It is RECOMMENDED that this refresh be sent once half the session interval has elapsed" (§7.2); who is not refreshed, or
    /// whose refreshes fail, says BYE "slightly before the session expiration. The minimum of 32 seconds and one third of the
    /// session interval is RECOMMENDED" (§10).
    fn start_interval(&mut self, core: &mut Core, now: Instant) {
        core.stop(self.id, SessionTimer::Refresh);
        core.stop(self.id, SessionTimer::Expiry);
        (self.interval.tries, self.interval.refused) = (0, 0);
        let Some(agreed) = self.interval.agreed else { return };
        let interval = Duration::from_secs(agreed.interval_s.into());
        if agreed.we_refresh {
            core.set(self.id, SessionTimer::Refresh, after(now, part(interval, 2)));
        }
        let margin = part(interval, 3).min(Duration::from_secs(32));
        core.set(
            self.id,
            SessionTimer::Expiry,
            after(now, interval.saturating_sub(margin)),
        );
    }

    /// Half the interval is over: UPDATE where the peer takes it, "RECOMMENDED … not [to] contain an offer", else a re-INVITE
    /// with "the same value for the origin field as did previous SDP messages" (§7.4).
    pub(crate) fn refresh(&mut self, core: &mut Core, now: Instant) {
        let busy = self.offer.is_some() || self.ours.is_some() || self.interval.update.is_some();
        let by_update = !self.interval.no_update;
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return;
        };
        if confirmed.bye.is_some() {
            return;
        }
        if busy || confirmed.accept.is_some() {
            return core.set(self.id, SessionTimer::Refresh, after(now, LOOK_AGAIN));
        }
        if confirmed.dialog.allows_update && by_update {
            self.update(core, now, &Along::default());
        } else if let Some(sdp) = self.interval.said.clone() {
            self.ours = Some(OurOffer {
                sdp,
                along: Along::default(),
                state: OfferState::Again,
                tries: 0,
                refreshes: true,
            });
            self.offer_again(core, now);
        }
    }

    /// UPDATE without an offer: it refreshes, and takes along what it is told. False: it cannot be said now.
    pub(crate) fn update(&mut self, core: &mut Core, now: Instant, along: &Along) -> bool {
        let busy = self.offer.is_some() || self.ours.is_some() || self.interval.update.is_some();
        let asked = self.interval.asked(false);
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return false;
        };
        if busy || self.interval.no_update || !confirmed.dialog.allows_update || confirmed.accept.is_some() {
            return false;
        }
        let mut draft = confirmed
            .dialog
            .request(Method::Update)
            .header("Contact", confirmed.dialog.contact.as_str())
            .header("Allow", ALLOW)
            .header("User-Agent", core.config.user_agent.as_str());
        let next_hop = confirmed.dialog.next_hop();
        draft.headers.extend(asked);
        let draft = along.asked(draft, None);
        self.interval.update = Some(core.request(now, &draft, next_hop, Some(self.id)));
        true
    }

    /// Whether this is the transaction of an UPDATE that only refreshes.
    pub(crate) fn is_refresh(&self, id: TransactionId) -> bool {
        self.interval.update == Some(id)
    }

    /// An UPDATE that only refreshes was challenged, and goes on in another transaction.
    pub(crate) fn refresh_goes_on(&mut self, before: TransactionId, now: TransactionId) {
        if self.is_refresh(before) {
            self.interval.update = Some(now);
        }
    }

    /// The final response to an UPDATE that only refreshes.
    pub(crate) fn on_refresh_response(&mut self, core: &mut Core, now: Instant, response: &Message) {
        match response.status().unwrap_or_default() {
            200..=299 => {
                self.interval.update = None;
                if let Phase::Confirmed(confirmed) = &mut self.phase {
                    confirmed.dialog.refresh(response);
                }
                self.interval_answered(core, now, response, false);
            }
            422 if self.interval.told_longer(response) => {
                self.interval.update = None;
                self.refresh(core, now);
            }
            status => self.refresh_failed(core, now, status),
        }
    }

    /// "If the session refresh request transaction times out or generates a 408 or 481 response, then the UAC sends a BYE" (§10).
    /// After all others it is tried again, by re-INVITE if it was UPDATE that is not taken; the session expires if that is no
    /// better.
    pub(crate) fn refresh_failed(&mut self, core: &mut Core, now: Instant, status: u16) {
        let by_update = self.interval.update.take().is_some();
        if matches!(status, 408 | 481) {
            return self.on_dialog_lost(core, now, status);
        }
        let Some(agreed) = self.interval.agreed else { return };
        if by_update && matches!(status, 405 | 501) {
            self.interval.no_update = true;
            return self.refresh(core, now);
        }
        self.interval.refused = self.interval.refused.saturating_add(1);
        if self.interval.refused <= RETRIES_MAX {
            // From the half of the interval on: both tries are over before two thirds are.
            let wait = part(Duration::from_secs(agreed.interval_s.into()), 20);
            core.set(self.id, SessionTimer::Refresh, after(now, wait));
        }
    }

    /// A 422 to our re-INVITE or UPDATE with an offer: whether it is to be made again, with a longer interval.
    pub(crate) fn offers_longer(&mut self, response: &Message) -> bool {
        response.status() == Some(422) && self.interval.told_longer(response)
    }

    /// Nobody has refreshed the session in time.
    pub(crate) fn expire(&mut self, core: &mut Core, now: Instant) {
        if matches!(self.phase, Phase::Confirmed(_)) {
            core.stats.expired = core.stats.expired.saturating_add(1);
            let reason = Some(EXPIRED.to_owned());
            let reasons = reason.into_iter().collect();
            self.emit(core, |session| Event::Bye {
                session,
                reasons,
                request: None,
            });
            self.send_bye(core, now, Some(EXPIRED.to_owned()).into());
        }
    }

    /// A 422 to our INVITE, which is made again.
    pub(crate) fn hear_interval(&mut self, refusal: &Message) {
        self.interval.told_s = self.interval.told_s.max(refusal.min_se().unwrap_or_default());
    }
}

/// The headers of a first INVITE.
pub(crate) fn first_interval(wish: SessionInterval) -> Vec<(&'static str, String)> {
    Interval::of(wish, None).asked(true)
}

/// "If the response to a session refresh request is a 422 …, the UAC MAY retry the request" with the largest Min-SE that it has
/// heard (§7.3, §7.4). False: it asked for as much before.
pub(crate) fn ask_longer(wish: &mut SessionInterval, refusal: &Message) -> bool {
    let before_s = wish.expires_s.max(wish.min_se_s).max(LEAST_S);
    let longer = refusal
        .min_se()
        .filter(|least_s| *least_s > before_s && wish.expires_s > 0);
    wish.min_se_s = longer.unwrap_or(wish.min_se_s);
    longer.is_some()
}
