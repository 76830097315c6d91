//! UAC: an INVITE and its responses, fork by fork (RFC 3261 §13.2).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use segue_sip_wire::{Message, Method, NameAddr, Uri, phrase};

use super::{
    Endpoint,
    ask::Asks,
    core::{ALLOW, Core, SessionTimer, after},
    early::Early,
    failover::{Nobody, protocol_of},
    incoming::shared_sdp,
    interval::{Interval, first_interval},
    session::{Calling, Cancel, Confirmed, Farewell, Phase, Session},
};
use crate::{
    api::{Event, Outgoing, Peer, Protocol, SessionId},
    dialog::{Dialog, TIMER},
    digest::Kind,
    draft::Draft,
    locate::Candidate,
    secure::domain_of,
    transaction::{
        ClientInput,
        store::{FORKS_MAX, TransactionId},
    },
};

/// An INVITE that has had nothing but provisional responses for this long is cancelled, whoever forgot it.
const PATIENCE: Duration = Duration::from_secs(300);

impl Endpoint {
    /// UAC: sends an INVITE. What goes wrong comes as `Failed`.
    pub fn invite(&mut self, now: Instant, mut outgoing: Outgoing) -> SessionId {
        let core = &mut self.core;
        if ![&outgoing.supported, &outgoing.required]
            .iter()
            .any(|tags| tags.contains(&TIMER))
        {
            outgoing.supported.push(TIMER);
        }
        let interval = Interval::of(outgoing.interval, Some(outgoing.sdp.clone()));
        let id = SessionId(core.next_id());
        core.open_ladder(id);
        let (local_tag, call_id) = (core.tag(), core.call_id());
        core.identities.open(id, &local_tag, outgoing.session_uuid);
        let mut outgoing = outgoing;
        core.add_named_server(&mut outgoing);
        let phase = match core.next_server(now, &mut outgoing) {
            Ok(peer) => {
                let cseq = core.first_cseq();
                let draft = core.draft_invite(&outgoing, peer, &local_tag, &call_id, cseq);
                let transaction = core.request(now, &draft, peer, Some(id));
                core.limit_silence(now, id, &outgoing);
                let calling = Calling {
                    transaction,
                    cancel: Cancel::No,
                    provisional: false,
                    forks: Vec::new(),
                    outgoing: Box::new(outgoing),
                    peer,
                    tries: 1,
                    tried: Vec::new(),
                };
                Phase::Calling(Box::new(calling))
            }
            Err(Nobody { phrase, paused }) => {
                core.event(Event::Failed {
                    session: id,
                    status: 503,
                    phrase,
                    response: None,
                    paused,
                });
                Phase::Over
            }
        };
        self.by_tag.insert(local_tag.clone(), id);
        self.sessions.insert(
            id,
            Session {
                id,
                call_id,
                local_tag,
                phase,
                made_call_id: true,
                offer: None,
                ours: None,
                late_prack: None,
                interval,
                asks: Asks::default(),
            },
        );
        self.sweep(id);
        id
    }

    /// A 2xx to an INVITE of ours: the first, one that comes again, or that of a fork that lost (§13.2.2.4).
    pub(super) fn handle_2xx(
        &mut self,
        now: Instant,
        peer: Peer,
        id: TransactionId,
        invite: &Arc<Message>,
        response: &Arc<Message>,
    ) {
        let (Ok(to), Some(client)) = (response.to(), self.core.transactions.client(id)) else {
            return;
        };
        let remote_tag = to.tag().unwrap_or_default();
        let owner = client.owner;
        let known = client
            .acked
            .iter()
            .find(|(tag, _)| tag == remote_tag)
            .map(|(_, ack)| ack.clone());
        let full = client.acked.len() >= FORKS_MAX;
        if let Some(owner) = owner {
            self.core.heard(now, owner, response, known.is_some());
        }
        // "The ACK MUST be passed to the client transport every time a retransmission of the 2xx final response …
        // arrives" (§13.2.2.4).
        if let Some(ack) = known {
            if let Some(owner) = owner {
                self.core.note(now, owner, true, true, "ACK".to_owned());
            }
            self.core.transmits.push_back(ack);
            return;
        }
        if full {
            return;
        }
        self.core.drive_client(
            now,
            id,
            ClientInput::Response(response.status().unwrap_or(200)),
            Some(response),
        );
        let mut session = owner.and_then(|owner| self.sessions.get_mut(&owner));
        if invite.to().is_ok_and(|to| to.tag().is_some()) {
            // A re-INVITE has no forks. Our BYE may have gone out meanwhile; the 2xx gets its ACK all the same.
            match session {
                Some(session) if session.is_our_offer(id) => {
                    session.on_offer_2xx(&mut self.core, now, peer, id, invite, response);
                    let id = session.id;
                    self.sweep(id);
                }
                session => {
                    let known = session.and_then(|session| session.dialog(remote_tag).cloned());
                    if let Some(dialog) = known.or_else(|| Dialog::uac(invite, response, peer)) {
                        self.core.acknowledge(now, id, &dialog, invite, owner);
                    }
                }
            }
            return;
        }
        match session.take_if(|session| session.awaits(id)) {
            Some(session) => {
                session.on_2xx(&mut self.core, now, peer, id, invite, response);
                let id = session.id;
                self.sweep(id);
            }
            // "… the UAC core considers [those] completed … MUST generate an ACK …, and then [MAY] terminate [them]
            // with BYE" (§13.2.2.4).
            None => {
                let early = self.core.losing_fork(id, response);
                if let Some(mut dialog) = early.or_else(|| Dialog::uac(invite, response, peer)) {
                    dialog.peer = peer;
                    self.core.acknowledge(now, id, &dialog, invite, owner);
                    self.core.release(now, &mut dialog, owner);
                }
            }
        }
    }
}

impl Core {
    /// The server that the next hop's host names, when that is an address: by its transport, without one UDP (RFC 3263 §4.1),
    /// whatever the caller came by.
    fn add_named_server(&self, outgoing: &mut Outgoing) {
        let sockets = &self.config.sockets;
        let have_udp = sockets.iter().any(|socket| socket.protocol == Protocol::Udp);
        let (remote, protocol) = (outgoing.remote(), protocol_of(outgoing.next_hop(), have_udp));
        if protocol.is_none() {
            outgoing.candidates.clear();
        }
        if let (true, Some(remote), Some(protocol)) = (outgoing.candidates.is_empty(), remote, protocol) {
            outgoing.candidates.push(Candidate { protocol, remote });
        }
    }

    pub(super) fn draft_invite(
        &mut self,
        outgoing: &Outgoing,
        peer: Peer,
        local_tag: &str,
        call_id: &str,
        cseq: u32,
    ) -> Draft {
        let mut from = NameAddr::new(outgoing.from.without_headers()).with_tag(local_tag);
        from.display = outgoing.from_name.clone();
        let to = match &outgoing.to {
            Some((uri, display)) => {
                let mut to = NameAddr::new(uri.without_headers());
                to.display.clone_from(display);
                to
            }
            None => NameAddr::new(outgoing.target.without_headers()),
        };
        let tags = |tags: &[&str]| Some(tags.join(", ")).filter(|tags| !tags.is_empty());
        let contact = match outgoing.target.is_sips() || outgoing.next_hop().is_sips() {
            true => self.secure_contact(peer),
            false => self.contact(peer),
        };
        let (content_type, body) = match outgoing.parts.is_empty() {
            true => ("application/sdp".into(), Bytes::copy_from_slice(&outgoing.sdp)),
            false => outgoing.parts.with_sdp(Some(&outgoing.sdp)),
        };
        let (uri, route) = routed(&outgoing.target, &outgoing.route);
        let mut draft = Draft::new(Method::Invite, uri);
        for hop in route {
            draft = draft.header("Route", hop);
        }
        let mut draft = draft
            .header("Max-Forwards", outgoing.max_forwards.to_string())
            .header("From", from.to_string())
            .header("To", to.to_string())
            .header("Call-ID", call_id)
            .header("CSeq", format!("{cseq} INVITE"))
            .header("Contact", contact)
            .header("Allow", ALLOW)
            .maybe("Supported", tags(&outgoing.supported))
            .maybe("Require", tags(&outgoing.required))
            .header("User-Agent", self.config.user_agent.as_str())
            .body(content_type, body);
        draft.hop.clone_from(&outgoing.hop);
        draft.same_way = outgoing.back_to.is_some();
        // A callee that refused it with 420 is not asked for it.
        if outgoing.supported.contains(&TIMER) || outgoing.required.contains(&TIMER) {
            draft.headers.extend(first_interval(outgoing.interval));
        }
        draft.more.clone_from(&outgoing.headers);
        draft
    }

    /// ACK of a 2xx, kept for when the 2xx comes again.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        id: TransactionId,
        dialog: &Dialog,
        invite: &Message,
        owner: Option<SessionId>,
    ) {
        let cseq = invite.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let branch = self.branch();
        let peer = dialog.next_hop();
        let peer = self.localized(peer).unwrap_or(peer);
        let mut draft = dialog.ack(cseq);
        // "The ACK MUST be … the same credentials as the INVITE" (§22.1 in effect).
        for kind in [Kind::User, Kind::Proxy] {
            for value in invite.headers(kind.credentials()) {
                draft = draft.header(kind.credentials(), value);
            }
        }
        let draft = self.identified(&draft, owner).unwrap_or(draft);
        let ack = draft.build(&self.via(peer, &branch));
        let domain = domain_of(&ack, peer).or(draft.domain);
        let transmit = self.send(peer, domain, ack.to_bytes());
        if let Some(owner) = owner {
            self.note(now, owner, true, false, "ACK".to_owned());
        }
        if let Some(client) = self.transactions.client(id) {
            client.acked.push((dialog.remote_tag.clone(), transmit));
        }
    }

    /// The early dialog of a fork that has lost, now confirmed by its 2xx.
    fn losing_fork(&mut self, id: TransactionId, response: &Message) -> Option<Dialog> {
        let to = response.to().ok()?;
        let losing = &mut self.transactions.client(id)?.losing;
        let at = losing
            .iter()
            .position(|dialog| Some(dialog.remote_tag.as_str()) == to.tag())?;
        let mut dialog = losing.swap_remove(at);
        dialog.confirm(response);
        Some(dialog)
    }

    /// BYE for a dialog that no session wants: it is nobody's.
    fn release(&mut self, now: Instant, dialog: &mut Dialog, session: Option<SessionId>) {
        let draft = dialog
            .request(Method::Bye)
            .header("User-Agent", self.config.user_agent.as_str());
        if let Some(session) = session {
            self.note(now, session, true, false, "BYE (another fork)".to_owned());
        }
        let mut draft = self.identified_apart(draft, session);
        draft.account = session;
        self.request(now, &draft, dialog.next_hop(), None);
    }
}

/// Request-URI and Route of a request to this target: "If the first URI of the route set … does not contain [the lr] parameter, the
/// UAC MUST place the first URI from the route set into the Request-URI", and the target last into Route (§12.2.1.1, §16.6 step 6).
fn routed(target: &Uri, route: &[Uri]) -> (Uri, Vec<String>) {
    let value = |hop: &Uri| NameAddr::new(hop.clone()).to_string();
    match route.split_first() {
        Some((first, rest)) if first.param("lr").is_none() => {
            let rest = rest.iter().chain([target]).map(value).collect();
            (first.without_headers(), rest)
        }
        _ => (target.clone(), route.iter().map(value).collect()),
    }
}

impl Session {
    /// Whether its INVITE is this one and has no final response.
    fn awaits(&self, invite: TransactionId) -> bool {
        matches!(&self.phase, Phase::Calling(calling) if calling.transaction == invite)
    }

    /// A response that is no 2xx.
    pub(crate) fn on_invite_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        peer: Peer,
        id: TransactionId,
        invite: &Message,
        response: &Arc<Message>,
    ) {
        if self.is_our_offer(id) {
            return self.on_offer_response(core, now, response);
        }
        if !self.awaits(id) {
            return;
        }
        match response.status().unwrap_or_default() {
            0..=199 => self.on_provisional(core, now, peer, invite, response),
            _ if self.invite_again(core, now, response) => {}
            status if self.try_next_server(core, now, status, Some(response)) => {}
            status => {
                self.withdraw_offer(core, now);
                if let Phase::Calling(calling) = &mut self.phase {
                    calling.leave_forks(core);
                }
                let phrase = response
                    .phrase()
                    .filter(|p| !p.is_empty())
                    .unwrap_or(phrase(status))
                    .to_owned();
                let response = Some(response.clone());
                self.emit(core, |session| Event::Failed {
                    session,
                    status,
                    phrase,
                    response,
                    paused: None,
                });
                self.end(core);
            }
        }
    }

    fn on_provisional(&mut self, core: &mut Core, now: Instant, peer: Peer, invite: &Message, response: &Arc<Message>) {
        let repeated = self.repeats(response);
        let id = self.id;
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        calling.provisional = true;
        core.stop(id, SessionTimer::NextServer);
        core.failing.answered(calling.peer);
        if calling.cancel != Cancel::Sent {
            core.set(id, SessionTimer::Patience, after(now, PATIENCE));
        }
        let early = match response.status() {
            Some(100) => Early::Ignored,
            _ => calling.on_early(core, now, id, peer, invite, response),
        };
        if early != Early::Ignored && !repeated {
            core.event(Event::Provisional {
                session: id,
                response: response.clone(),
            });
        }
        if early == Early::Ended
            && let Ok(to) = response.to()
        {
            self.early_dialog_ended(core, now, to.tag().unwrap_or_default());
        }
        self.send_cancel(core, now);
    }

    /// The INVITE was not answered (408) or could not be sent (503).
    pub(crate) fn on_invite_unanswered(&mut self, core: &mut Core, now: Instant, id: TransactionId, status: u16) {
        if self.awaits(id) && !self.try_next_server(core, now, status, None) {
            self.withdraw_offer(core, now);
            let phrase = match &self.phase {
                Phase::Calling(calling) if !calling.tried.is_empty() => calling.tried.join(", "),
                _ => phrase(status).to_owned(),
            };
            self.emit(core, |session| Event::Failed {
                session,
                status,
                phrase,
                response: None,
                paused: None,
            });
            self.end(core);
        }
    }

    /// The first 2xx.
    fn on_2xx(
        &mut self,
        core: &mut Core,
        now: Instant,
        peer: Peer,
        id: TransactionId,
        invite: &Message,
        response: &Arc<Message>,
    ) {
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        let tag = response
            .to()
            .ok()
            .and_then(|to| to.tag().map(str::to_owned))
            .unwrap_or_default();
        let fork = calling
            .forks
            .iter()
            .position(|fork| fork.dialog.remote_tag == tag)
            .map(|at| calling.forks.swap_remove(at));
        let (dialog, early) = match fork {
            Some(mut fork) => {
                fork.dialog.confirm(response);
                fork.dialog.peer = peer;
                (Some(fork.dialog), fork.sdp)
            }
            None => (Dialog::uac(invite, response, peer), None),
        };
        let Some(mut dialog) = dialog else { return };
        dialog.follows_source |= calling.outgoing.back_to.is_some();
        let cancelled = calling.cancel != Cancel::No;
        calling.leave_forks(core);
        core.stop_all(self.id);
        core.identities.learn(self.id, response);
        core.acknowledge(now, id, &dialog, invite, Some(self.id));
        self.fork_lost_offer(core, now, &tag);
        let confirmed = Confirmed {
            dialog,
            accept: None,
            bye: None,
        };
        self.phase = Phase::Confirmed(Box::new(confirmed));
        self.interval_answered(core, now, response, true);
        if cancelled {
            // It crossed our CANCEL: "the UAC … MUST … terminate [it] with BYE" in effect (§9.1, §15).
            self.emit(core, |session| Event::CrossedCancel { session });
            return self.send_bye(core, now, Farewell::default());
        }
        let response = response.clone();
        let sdp = shared_sdp(&response).or(early);
        self.emit(core, |session| Event::Answered { session, response, sdp });
    }
}
