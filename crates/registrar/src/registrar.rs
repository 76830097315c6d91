//! The bindings of all subscribers (RFC 3261 §10.3).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::{Duration, Instant},
};

use segue_sip_wire::{Message, NameAddr, Uri};

use crate::{
    Binding, Source,
    asked::{Asked, Contact, Wish},
    binding::{Places, is_at, is_elsewhere, is_nowhere},
};

/// Bounds of registrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Contacts of one subscriber.
    pub contacts_max: usize,
    /// Contacts of all subscribers.
    pub total_max: usize,
    /// The shortest registration, seconds: a shorter one is refused with 423.
    pub expires_min_s: u32,
    /// How long one lasts that names no time, seconds.
    pub expires_default_s: u32,
    /// The longest, seconds: a longer one is shortened.
    pub expires_max_s: u32,
}

impl Default for Limits {
    /// 10 contacts each, 100,000 in all; 60 s to 2 h, 1 h where none is named.
    fn default() -> Limits {
        Limits {
            contacts_max: 10,
            total_max: 100_000,
            expires_min_s: 60,
            expires_default_s: 3_600,
            expires_max_s: 7_200,
        }
    }
}

/// Why a REGISTER is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// 400 to 599.
    pub status: u16,
    /// Headers of the response.
    pub headers: Vec<(&'static str, String)>,
    /// For the log.
    pub why: String,
}

impl Refused {
    pub(crate) fn new(status: u16, why: String) -> Refused {
        Refused {
            status,
            headers: Vec::new(),
            why,
        }
    }

    /// 400, saying why.
    pub(crate) fn bad(why: &str) -> Refused {
        Refused::new(400, why.to_owned()).with("Warning", format!("399 segue \"{why}\""))
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Refused {
        self.headers.push((name, value));
        self
    }
}

/// What became of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It was said again.
    Refreshed,
    /// It was taken back, or replaced.
    Removed,
    /// Nobody said it again in time.
    Expired,
    /// It answers no more.
    Lost,
}

/// Something that became of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub user: String,
    /// What.
    pub what: What,
    /// The binding as it is, or was.
    pub binding: Binding,
}

/// A REGISTER that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The subscriber's contacts, a Contact value each.
    pub contacts: Vec<String>,
    /// Path to say (RFC 3327 §5.3), where the sender understands it.
    pub path: Vec<String>,
    /// What has changed.
    pub changes: Vec<Change>,
}

/// All bindings.
#[derive(Debug)]
pub struct Registrar {
    limits: Limits,
    users: BTreeMap<String, Vec<Binding>>,
    /// When the first binding of each subscriber expires.
    due: BTreeSet<(Instant, String)>,
    total: usize,
}

impl Registrar {
    /// Nobody is registered.
    pub fn new(limits: Limits) -> Registrar {
        Registrar {
            limits,
            users: BTreeMap::new(),
            due: BTreeSet::new(),
            total: 0,
        }
    }

    /// Does what a REGISTER of a subscriber wants, all of it or nothing. With `nat` a contact that is elsewhere, seen from here, is
    /// called where the REGISTER came from. Any other contact, or the first hop of the Path, is at the address that the REGISTER came
    /// from or where `places` admits it: who registers must not have others called, nor this server.
    ///
    /// # Errors
    /// 400, 403, 420, 423 or 503; nothing has changed.
    pub fn handle_register(
        &mut self,
        now: Instant,
        user: &str,
        request: &Message,
        source: Source,
        nat: bool,
        places: &dyn Places,
    ) -> Result<Registered, Refused> {
        let asked = Asked::of(request)?;
        let (before, gone): (Vec<Binding>, Vec<Binding>) = self.bindings(user).cloned().partition(|b| b.until > now);
        let after = match &asked.wish {
            Wish::Query => before.clone(),
            Wish::RemoveAll => {
                before.iter().try_for_each(|binding| in_order(binding, &asked))?;
                Vec::new()
            }
            Wish::Change(contacts) => self.changed(now, &before, &asked, contacts, (source, nat, places))?,
        };
        if after.len() > self.limits.contacts_max && after.len() > before.len() {
            let why = format!(
                "The subscriber has {} contacts, as many as one may",
                self.limits.contacts_max
            );
            let warning = "399 segue \"Too many contacts\"".to_owned();
            return Err(Refused::new(403, why).with("Warning", warning));
        }
        let others = self.total.saturating_sub(self.bindings(user).count());
        if others.saturating_add(after.len()) > self.limits.total_max && after.len() > before.len() {
            let why = format!("There are {} contacts, as many as there may be", self.limits.total_max);
            return Err(Refused::new(503, why).with("Retry-After", "60".to_owned()));
        }
        // What has expired and was not told yet is forgotten here, so here it is told.
        let mut told: Vec<Change> = gone.into_iter().map(|binding| expired(user, binding)).collect();
        if !matches!(asked.wish, Wish::Query) {
            told.extend(changes(user, &before, &after));
        }
        let contacts = after.iter().map(|binding| shown(binding, now)).collect();
        self.put(user, after);
        Ok(Registered {
            contacts,
            path: if asked.supports_path { asked.path } else { Vec::new() },
            changes: told,
        })
    }

    /// The bindings after a REGISTER with these contacts (§10.3 step 7).
    fn changed(
        &self,
        now: Instant,
        before: &[Binding],
        asked: &Asked,
        contacts: &[Contact],
        (source, nat, places): (Source, bool, &dyn Places),
    ) -> Result<Vec<Binding>, Refused> {
        let mut after = before.to_vec();
        for contact in contacts {
            let wanted = contact.expires_s.unwrap_or(self.limits.expires_default_s);
            if (1..self.limits.expires_min_s).contains(&wanted) {
                let why = format!("a registration lasts {} s at least", self.limits.expires_min_s);
                return Err(Refused::new(423, why).with("Min-Expires", self.limits.expires_min_s.to_string()));
            }
            if let Some(at) = after.iter().position(|binding| binding.contact.matches(&contact.uri)) {
                let existing = after.remove(at);
                in_order(&existing, asked)?;
            }
            // A device has one contact on each of its flows: what it was before is nowhere any more (RFC 5626 §6).
            let same_flow = |binding: &Binding| {
                binding.instance.is_some()
                    && binding.instance == contact.instance
                    && binding.reg_id == contact.reg_id
                    && (binding.call_id != asked.call_id || binding.cseq != asked.cseq)
            };
            after.retain(|binding| !same_flow(binding));
            if wanted == 0 {
                continue;
            }
            let lasts = Duration::from_secs(wanted.min(self.limits.expires_max_s).into());
            let is_connection = source.transport != crate::Transport::Udp;
            let hop = asked.path.first().and_then(|hop| hop.parse::<NameAddr>().ok());
            let at = hop.as_ref().map_or(&contact.uri, |hop| &hop.uri);
            let admitted = is_at(at, &source) || places.admits(at);
            let by_source =
                asked.path.is_empty() && (is_connection || nat && (is_elsewhere(&contact.uri, &source) || !admitted));
            if !by_source {
                may_be_called(at, admitted, places)?;
            }
            after.push(Binding {
                contact: contact.uri.clone(),
                q: contact.q,
                until: now.checked_add(lasts).unwrap_or(now),
                call_id: asked.call_id.clone(),
                cseq: asked.cseq,
                instance: contact.instance.clone(),
                reg_id: contact.reg_id,
                path: asked.path.clone(),
                user_agent: asked.user_agent.clone(),
                by_source,
                source,
            });
        }
        Ok(after)
    }

    /// A binding of before the start.
    pub fn restore(&mut self, user: &str, binding: Binding) {
        let mut all: Vec<Binding> = self.bindings(user).cloned().collect();
        if self.total < self.limits.total_max && !all.iter().any(|known| known.contact.matches(&binding.contact)) {
            all.push(binding);
            self.put(user, all);
        }
    }

    /// Removes a subscriber's bindings: those of a contact, or all.
    pub fn remove(&mut self, user: &str, contact: Option<&Uri>) -> Vec<Change> {
        let before: Vec<Binding> = self.bindings(user).cloned().collect();
        let stays = |binding: &&Binding| contact.is_some_and(|contact| !binding.contact.matches(contact));
        let after: Vec<Binding> = before.iter().filter(stays).cloned().collect();
        let changes = changes(user, &before, &after);
        self.put(user, after);
        changes
    }

    /// Removes the bindings that are not to stay.
    pub fn retain(&mut self, stays: impl Fn(&Binding) -> bool) -> Vec<Change> {
        let has_to_go = |(user, all): (&String, &Vec<Binding>)| (!all.iter().all(&stays)).then(|| user.clone());
        let users: Vec<String> = self.users.iter().filter_map(has_to_go).collect();
        let mut told = Vec::new();
        for user in users {
            let before: Vec<Binding> = self.bindings(&user).cloned().collect();
            let after: Vec<Binding> = before.iter().filter(|binding| stays(binding)).cloned().collect();
            told.extend(changes(&user, &before, &after));
            self.put(&user, after);
        }
        told
    }

    /// Bounds of what is registered from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Forgets what has expired.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Change> {
        let mut told = Vec::new();
        while let Some((_, user)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            let (after, gone) = self.bindings(&user).cloned().partition(|binding| binding.until > now);
            let gone: Vec<Binding> = gone;
            told.extend(gone.into_iter().map(|binding| expired(&user, binding)));
            self.put(&user, after);
        }
        told
    }

    /// When [`Registrar::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The bindings of a subscriber, the oldest first.
    pub fn bindings(&self, user: &str) -> impl Iterator<Item = &Binding> {
        self.users.get(user).into_iter().flatten()
    }

    /// Those that are called now, the preferred first.
    pub fn contacts(&self, user: &str, now: Instant) -> Vec<&Binding> {
        let mut all: Vec<&Binding> = self.bindings(user).filter(|binding| binding.until > now).collect();
        all.sort_by_key(|binding| std::cmp::Reverse(binding.q));
        all
    }

    /// How many contacts there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many subscribers are registered.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    fn put(&mut self, user: &str, bindings: Vec<Binding>) {
        let first = |bindings: &[Binding]| bindings.iter().map(|binding| binding.until).min();
        let before = self.users.remove(user).unwrap_or_default();
        if let Some(at) = first(&before) {
            self.due.remove(&(at, user.to_owned()));
        }
        if let Some(at) = first(&bindings) {
            self.due.insert((at, user.to_owned()));
        }
        self.total = self.total.saturating_sub(before.len()).saturating_add(bindings.len());
        if !bindings.is_empty() {
            self.users.insert(user.to_owned(), bindings);
        }
    }
}

/// "If the value is higher than that of the existing binding, it MUST update or remove the binding … If not, the update MUST be
/// aborted and the request fails" (§10.3 step 7).
fn in_order(existing: &Binding, asked: &Asked) -> Result<(), Refused> {
    match existing.call_id == asked.call_id && asked.cseq <= existing.cseq {
        true => Err(Refused::bad(
            "Its CSeq is not higher than that of the registration before",
        )),
        false => Ok(()),
    }
}

/// Whether calls may go to what a REGISTER names.
fn may_be_called(at: &Uri, admitted: bool, places: &dyn Places) -> Result<(), Refused> {
    let why = match at {
        _ if is_nowhere(at) => "is at no address of a phone",
        _ if places.is_here(at) => "is this server itself",
        _ if !admitted => "is not where its REGISTER comes from",
        _ => return Ok(()),
    };
    let told = format!("A Contact or the Path {why}");
    Err(Refused::new(403, told.clone()).with("Warning", format!("399 segue \"{told}\"")))
}

fn expired(user: &str, binding: Binding) -> Change {
    Change {
        user: user.to_owned(),
        what: What::Expired,
        binding,
    }
}

fn changes(user: &str, before: &[Binding], after: &[Binding]) -> Vec<Change> {
    let same = |a: &Binding, b: &Binding| a.contact.matches(&b.contact);
    let change = |what, binding: &Binding| Change {
        user: user.to_owned(),
        what,
        binding: binding.clone(),
    };
    let gone = before.iter().filter(|old| !after.iter().any(|new| same(old, new)));
    let gone: Vec<Change> = gone.map(|binding| change(What::Removed, binding)).collect();
    let said = after.iter().filter(|new| !before.contains(new)).map(|new| {
        let known = before.iter().any(|old| same(old, new));
        change(if known { What::Refreshed } else { What::Added }, new)
    });
    gone.into_iter().chain(said).collect()
}

/// "The Contact header field values MUST … each contain an expires parameter" (§10.3 step 8).
fn shown(binding: &Binding, now: Instant) -> String {
    let left = binding.until.saturating_duration_since(now).as_millis().div_ceil(1_000);
    let mut text = format!("<{}>;expires={left}", binding.contact);
    if binding.q < 1_000 {
        let _ = write!(text, ";q=0.{:03}", binding.q);
    }
    if let Some(instance) = &binding.instance {
        let _ = write!(text, ";+sip.instance={instance}");
    }
    if let Some(id) = binding.reg_id {
        let _ = write!(text, ";reg-id={id}");
    }
    text
}
