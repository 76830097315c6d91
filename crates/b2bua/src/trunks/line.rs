//! Our registration with the provider of a trunk: which server is asked, what its answers say, and what calls need to know of it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::Rng;
use segue_policy::Trunk;
use segue_sip::{Account, Candidate, Condition, Enrolment, Hashes, Register, RegistrationId, Standing, Verdict};
use segue_sip_wire::{Message, Uri};

use super::{TrunkSetup, Trunks, Wish, rank, way::in_order};

/// Hops of a Service-Route that are kept.
const ROUTE_MAX: usize = 8;
/// Addresses of a P-Associated-URI that are kept.
const ASSOCIATED_MAX: usize = 16;
/// The longest registration that is believed.
const LONGEST: Duration = Duration::from_secs(604_800);

/// Which line, whatever has become of its trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineId(pub u64);

/// A REGISTER to be sent.
#[derive(Debug)]
pub(crate) struct Asking {
    pub line: LineId,
    /// Its registration; `None`: it has none yet.
    pub registration: Option<RegistrationId>,
    pub account: Option<Arc<Account>>,
    pub at: Candidate,
    pub register: Register,
}

/// A line stands otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stands {
    pub trunk: Arc<str>,
    pub standing: Standing,
    pub was: Standing,
    /// The server that said so.
    pub server: Option<Candidate>,
    pub identity: String,
    pub why: String,
}

/// One server that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub at: Candidate,
    pub server: Uri,
    pub is_route: bool,
    pub condition: Condition,
}

/// What every REGISTER says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Terms {
    registrar: Uri,
    identity: Uri,
    contact_user: String,
    /// Nobody guesses it: who names it knows it from our REGISTER.
    is_secret: bool,
    expires_s: u32,
    account: Option<Arc<Account>>,
}

impl Terms {
    /// Of a trunk that registers.
    fn of(setup: &TrunkSetup) -> Option<Terms> {
        let trunk = &setup.trunk;
        let registrar: Uri = trunk.registrar_uri()?.parse().ok().filter(|_| trunk.register)?;
        let (contact_user, is_secret) = contact_user(trunk, setup.account.as_deref());
        let domain: Uri = trunk.domain_uri()?.parse().ok()?;
        let identity = Uri::sip(Some(trunk.account_user()), domain.host()?.clone(), None);
        Some(Terms {
            registrar: registrar.without_params(),
            identity,
            contact_user,
            is_secret,
            expires_s: trunk.expires_s,
            account: setup.account.clone(),
        })
    }
}

/// The user of our Contact: the same after a restart, so that what was registered before is replaced.
fn contact_user(trunk: &Trunk, account: Option<&Account>) -> (String, bool) {
    match account {
        _ if !trunk.contact_user.is_empty() => (trunk.contact_user.clone(), false),
        Some(account) => {
            let text = Hashes::new(&trunk.name, "contact", &account.secret).to_text();
            let sha256 = text.split(' ').nth(1).unwrap_or_default();
            (format!("line-{}", sha256.get(..24).unwrap_or(sha256)), true)
        }
        None => (format!("line-{}", trunk.name), false),
    }
}

/// The registration of one trunk.
#[derive(Debug)]
pub(crate) struct Line {
    pub id: LineId,
    trunk: Arc<str>,
    terms: Terms,
    pub enrolment: Enrolment,
    registration: Option<RegistrationId>,
    /// Servers of this round that were not asked.
    left: VecDeque<Target>,
    /// What this round asks for, seconds.
    asks_s: u32,
    /// The longest Retry-After of this round.
    wait: Option<Duration>,
    /// The server that is asked, or has answered last.
    at: Option<Target>,
    contact: Option<Uri>,
    service_route: Vec<Uri>,
    associated: Vec<String>,
    /// For calls: with the realm that the registrar has named.
    account: Option<Arc<Account>>,
    /// What was said last, and when.
    pub last: Option<(String, Instant)>,
    pub sent: u64,
    pub failed: u64,
}

impl Line {
    fn new(now: Instant, id: LineId, setup: &TrunkSetup, seed: u64) -> Option<Line> {
        let terms = Terms::of(setup)?;
        Some(Line {
            id,
            trunk: Arc::from(setup.trunk.name.as_str()),
            enrolment: Enrolment::new(now, terms.expires_s, seed),
            // Without a realm of its own they go nowhere before the registrar has named it.
            account: terms.account.clone().filter(|account| !account.realm.is_empty()),
            terms,
            registration: None,
            left: VecDeque::new(),
            asks_s: 0,
            wait: None,
            at: None,
            contact: None,
            service_route: Vec::new(),
            associated: Vec::new(),
            last: None,
            sent: 0,
            failed: 0,
        })
    }

    /// Whether a trunk registers as before.
    pub(super) fn is_of(&self, setup: &TrunkSetup) -> bool {
        Terms::of(setup).is_some_and(|terms| terms == self.terms)
    }

    pub(crate) fn account(&self) -> Option<Arc<Account>> {
        self.account.clone()
    }

    pub(crate) fn identity(&self) -> &Uri {
        &self.terms.identity
    }

    pub(crate) fn contact(&self) -> Option<&Uri> {
        self.contact.as_ref()
    }

    pub(crate) fn associated(&self) -> &[String] {
        &self.associated
    }

    /// The way of what goes out by it (RFC 3608 §6.1).
    pub(crate) fn service_route(&self) -> &[Uri] {
        match self.enrolment.standing() {
            Standing::Registered => &self.service_route,
            _ => &[],
        }
    }

    /// Whether this is the user of our Contact.
    pub(crate) fn is_contact_user(&self, user: &str) -> bool {
        self.terms.contact_user == user
    }

    /// Whether naming this user shows that our REGISTER was seen, while that is not taken back.
    pub(crate) fn is_known_by(&self, user: &str) -> bool {
        self.terms.is_secret && self.contact.is_some() && !self.enrolment.is_over() && self.is_contact_user(user)
    }

    /// The server where it stands registered.
    pub(crate) fn server(&self) -> Option<Candidate> {
        self.at.as_ref().map(|target| target.at)
    }

    /// Does what is due. `servers`: those that may be asked, in order; nobody: none is known.
    pub(super) fn due(&mut self, now: Instant, servers: &dyn Fn() -> Vec<Target>, wishes: &mut Vec<Wish>) {
        let was = self.enrolment.standing();
        if self.enrolment.has_expired(now) {
            self.contact = None;
            wishes.push(self.stands(was, "it was not said again in time".to_owned()));
        }
        if self.enrolment.next().is_none_or(|next| next > now) {
            return;
        }
        let all = servers();
        if all.is_empty() {
            return;
        }
        let holds = was == Standing::Registered && self.enrolment.is_steady();
        let Some(asks_s) = self.enrolment.ask(now) else { return };
        self.asks_s = asks_s;
        self.wait = None;
        // The same server again, as long as it is one and has not failed.
        let at = self.at.as_ref().filter(|_| holds);
        let stays = at.and_then(|at| all.iter().position(|server| server.at == at.at));
        let stays = stays.filter(|at| all.get(*at).is_some_and(|server| rank(server.condition) == 0));
        self.left = all.into();
        if let Some(same) = stays.and_then(|at| self.left.remove(at)) {
            self.left.push_front(same);
        }
        wishes.extend(self.next_server());
    }

    /// It is said elsewhere where its server is gone, or does not answer while another does.
    pub(super) fn look_at(&mut self, now: Instant, all: &[Target]) {
        if self.enrolment.standing() != Standing::Registered || !self.enrolment.is_steady() {
            return;
        }
        let Some(at) = self.at.as_ref().map(|target| target.at) else {
            return;
        };
        let is_good = |target: &&Target| rank(target.condition) == 0;
        let here = all.iter().find(|target| target.at == at);
        let lives = here.is_some_and(|target| target.condition != Condition::Down);
        if !lives && all.iter().any(|target| is_good(&target) && target.at != at) {
            self.enrolment.again(now);
        }
    }

    fn next_server(&mut self) -> Option<Wish> {
        let target = self.left.pop_front()?;
        let asking = Asking {
            line: self.id,
            registration: self.registration,
            account: self.terms.account.clone(),
            at: target.at,
            register: Register {
                registrar: self.terms.registrar.clone(),
                identity: self.terms.identity.clone(),
                contact_user: self.terms.contact_user.clone(),
                expires_s: self.asks_s,
                server: target.server.clone(),
                is_route: target.is_route,
            },
        };
        self.at = Some(target);
        Some(Wish::Register(Box::new(asking)))
    }

    /// A REGISTER has been sent.
    fn sent(&mut self, registration: RegistrationId, contact: Uri) {
        self.registration = Some(registration);
        self.contact = Some(contact);
        self.sent = self.sent.saturating_add(1);
    }

    /// What a REGISTER came to; `None`: nothing. `realm`: in which it was believed.
    fn answered(&mut self, now: Instant, response: Option<&Message>, realm: Option<&str>) -> Option<Wish> {
        let status = response.and_then(Message::status);
        let server = self.at.as_ref().map(|at| at.at.remote.to_string()).unwrap_or_default();
        let said = match (status, response.and_then(Message::phrase)) {
            (Some(status), Some(phrase)) => format!("{status} {phrase}"),
            (Some(status), None) => status.to_string(),
            (None, _) => "no answer".to_owned(),
        };
        self.last = Some((said.clone(), now));
        let is_granted = status.is_some_and(|status| (200..300).contains(&status));
        if !is_granted {
            self.failed = self.failed.saturating_add(1);
        }
        let wait = response.and_then(|response| seconds(response, "Retry-After"));
        self.wait = self.wait.max(wait.map(Duration::from_secs));
        // "a failure … a 503, a fault of the transport, or silence": the next one is asked (RFC 3263 §4.3).
        if matches!(status, None | Some(408 | 500 | 502 | 503 | 504))
            && let Some(next) = self.next_server()
        {
            return Some(next);
        }
        self.left.clear();
        let verdict = match (status, response) {
            (Some(_), Some(response)) if is_granted => Verdict::Granted(self.granted(response, realm)),
            (Some(423), Some(response)) => {
                let least = seconds(response, "Min-Expires");
                Verdict::TooBrief(least.and_then(|least| u32::try_from(least).ok()))
            }
            (Some(status), _) => Verdict::Refused(status, self.wait),
            (None, _) if self.wait.is_some() => Verdict::Refused(503, self.wait),
            (None, _) => Verdict::Silence,
        };
        let was = self.enrolment.standing();
        let changed = self.enrolment.heard(now, verdict);
        if matches!(
            self.enrolment.standing(),
            Standing::Refused | Standing::Failing | Standing::Left
        ) {
            self.contact = None;
        }
        let why = match verdict {
            Verdict::Granted(time) => format!("{server} said {said}, for {} s", time.as_secs()),
            _ => format!("{server}: {said}"),
        };
        changed.then(|| self.stands(was, why))
    }

    /// How long a 2xx says that we are known, and what else it says.
    fn granted(&mut self, response: &Message, realm: Option<&str>) -> Duration {
        if self.asks_s == 0 {
            return Duration::ZERO;
        }
        let mut route = response.routes("Service-Route").unwrap_or_default();
        route.truncate(ROUTE_MAX);
        self.service_route = route.into_iter().map(|hop| hop.uri).collect();
        let associated = response.routes("P-Associated-URI").unwrap_or_default();
        let associated = associated.iter().take(ASSOCIATED_MAX);
        self.associated = associated.map(|address| address.uri.to_string()).collect();
        if let (Some(account), Some(realm)) = (&self.terms.account, realm) {
            let realm = realm.to_owned();
            let account = Account::clone(account);
            self.account = Some(Arc::new(Account { realm, ..account }));
        }
        // "Each Contact value MUST feature an 'expires' parameter" (RFC 3261 §10.3 step 8), and some write other hosts into it.
        let contacts = response.contacts().unwrap_or_default();
        let ours = contacts.iter().find(|contact| {
            let user = contact.uri.user();
            user.is_some_and(|user| self.is_contact_user(&user))
        });
        let said = ours.and_then(|contact| contact.params.get("expires")?.trim().parse::<u64>().ok());
        let said = said
            .or_else(|| seconds(response, "Expires"))
            .unwrap_or(self.asks_s.into());
        Duration::from_secs(said).min(LONGEST)
    }

    fn stands(&self, was: Standing, why: String) -> Wish {
        Wish::Stands(Stands {
            trunk: Arc::clone(&self.trunk),
            standing: self.enrolment.standing(),
            was,
            server: self.server(),
            identity: self.terms.identity.to_string(),
            why,
        })
    }
}

/// A header of seconds, which a comment may follow.
fn seconds(response: &Message, name: &str) -> Option<u64> {
    let value = response.header(name)?.trim();
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    match digits.is_empty() {
        true => None,
        // A number too long for us is longer than we believe.
        false => Some(digits.parse().unwrap_or(u64::MAX)),
    }
}

impl Trunks {
    /// What lines are due to do. When the next one is.
    pub(super) fn tend_lines(&mut self, now: Instant, wishes: &mut Vec<Wish>) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let rng = &mut self.rng;
        for running in self.all.values_mut() {
            if running.line.is_none() && running.setup.trunk.register && !self.has_left {
                self.next_line = self.next_line.wrapping_add(1);
                running.line = Line::new(now, LineId(self.next_line), &running.setup, rng.next_u64());
            }
            let Some(line) = &mut running.line else { continue };
            let all = targets(&running.servers, rng);
            line.look_at(now, &all);
            line.due(now, &|| all.clone(), wishes);
            if !all.is_empty() {
                next = [next, line.enrolment.poll_timeout()].into_iter().flatten().min();
            }
        }
        for line in &mut self.leaving {
            let at: Vec<Target> = line.at.iter().cloned().collect();
            line.due(now, &|| at.clone(), wishes);
            next = [next, line.enrolment.poll_timeout()].into_iter().flatten().min();
        }
        let over = |line: &Line| line.enrolment.is_over();
        for line in self.leaving.iter().filter(|line| over(line)) {
            wishes.extend(line.registration.map(Wish::Close));
        }
        self.leaving.retain(|line| !over(line));
        next
    }

    fn line_mut(&mut self, of: impl Fn(&Line) -> bool) -> Option<&mut Line> {
        let lines = self.all.values_mut().filter_map(|running| running.line.as_mut());
        lines.chain(&mut self.leaving).find(|line| of(line))
    }

    /// The line of a trunk.
    pub(crate) fn line(&self, name: &str) -> Option<&Line> {
        self.all.get(name)?.line.as_ref()
    }

    /// A REGISTER that was wished for is on its way, with this Contact; `None`: nothing reaches the server.
    pub(crate) fn register_sent(
        &mut self,
        now: Instant,
        id: LineId,
        registration: RegistrationId,
        contact: Option<Uri>,
    ) -> Vec<Wish> {
        self.changed = true;
        self.next = Some(now);
        let Some(line) = self.line_mut(|line| line.id == id) else {
            return vec![Wish::Close(registration)];
        };
        line.registration = Some(registration);
        match contact {
            Some(contact) => {
                line.sent(registration, contact);
                Vec::new()
            }
            None => line.answered(now, None, None).into_iter().collect(),
        }
    }

    /// The trunk whose registered Contact, which nobody guesses, has this user.
    pub(crate) fn known_by(&self, user: Option<&str>) -> Option<&Arc<str>> {
        let user = user?;
        let known = |running: &super::Running| running.line.as_ref().is_some_and(|line| line.is_known_by(user));
        self.all
            .iter()
            .find(|(_, running)| known(running))
            .map(|(name, _)| name)
    }

    /// Whether this is the user of a Contact of ours.
    pub(crate) fn is_contact_user(&self, user: &str) -> bool {
        let mut lines = self.all.values().filter_map(|running| running.line.as_ref());
        lines.any(|line| line.is_contact_user(user))
    }

    /// What became of a REGISTER.
    pub(crate) fn register_answered(
        &mut self,
        now: Instant,
        registration: RegistrationId,
        response: Option<&Message>,
        realm: Option<&str>,
    ) -> Vec<Wish> {
        self.changed = true;
        self.next = Some(now);
        let line = self.line_mut(|line| line.registration == Some(registration));
        line.and_then(|line| line.answered(now, response, realm))
            .into_iter()
            .collect()
    }

    /// All registrations are taken back.
    pub(crate) fn leave(&mut self, now: Instant) {
        let lines = self.all.values_mut().filter_map(|running| running.line.take());
        let mut lines: Vec<Line> = lines.collect();
        for line in &mut lines {
            line.enrolment.leave(now);
        }
        self.leaving.append(&mut lines);
        self.has_left = true;
        self.changed = true;
        self.next = Some(now);
        self.idle = self.all.is_empty() && self.leaving.is_empty();
    }

    /// Whether a registration is still to be taken back.
    pub(crate) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Somebody wants a trunk registered anew. False: it does not register.
    pub(crate) fn register_now(&mut self, now: Instant, name: &str) -> bool {
        let Some(line) = self.all.get_mut(name).and_then(|running| running.line.as_mut()) else {
            return false;
        };
        line.enrolment.again(now);
        self.next = Some(now);
        true
    }

    /// The line of a trunk that is there again: what stays as it was stays registered, what does not is taken back.
    pub(super) fn line_of(&mut self, before: Option<Line>, setup: &TrunkSetup) -> Option<Line> {
        let mut line = before?;
        if line.is_of(setup) {
            return Some(line);
        }
        if self.seen.is_some_and(|now| line.enrolment.leave(now)) {
            self.leaving.push(line);
        }
        None
    }
}

/// The addresses of a trunk's servers as they are to be tried.
fn targets(servers: &[super::Server], rng: &mut rand::rngs::StdRng) -> Vec<Target> {
    let mut all = Vec::new();
    for server in in_order(servers, rng) {
        let known = |at: &Candidate| server.nodes.get(at).map(|node| node.probe.condition());
        let located = server.located.iter().filter_map(|at| Some((*at, known(at)?)));
        let others = server.nodes.iter().filter(|(at, _)| !server.located.contains(at));
        let others = others.map(|(at, node)| (*at, node.probe.condition()));
        let mut of: Vec<(Candidate, Condition)> = located.chain(others).collect();
        of.sort_by_key(|(_, condition)| rank(*condition));
        all.extend(of.into_iter().map(|(at, condition)| Target {
            at,
            server: server.uri.clone(),
            is_route: server.is_route,
            condition,
        }));
    }
    all
}
