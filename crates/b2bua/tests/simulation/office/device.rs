//! A subscriber's phone: it registers, wants to know of messages, is called; and at times it is unplugged.

use std::collections::BTreeMap;

use segue_sip::Protocol;
use segue_sip_wire::Message;

use super::setup::{Act, DeviceScript, Hears, Way, name};
use crate::{
    callee::Callee,
    credentials::authorization,
    dice::{Dice, S, Time},
    phone::{Expired, Phone, Reply, X},
    wire::{self, Msg},
};

/// The password of each subscriber.
pub const PASSWORD: &str = "sesame";

enum Step {
    Boot,
    Register,
    Watch,
    Act(Act),
    Return,
}

/// What it has asked for and is answered about.
struct Asked {
    method: &'static str,
    /// Contact and Expires.
    wish: String,
    tries: u32,
}

/// Its subscription.
#[derive(Default)]
struct Watch {
    call_id: String,
    tag: String,
    cseq: u32,
    /// Segue's side, once known: To and where.
    remote: Option<(String, String)>,
    ends: bool,
}

pub struct Device {
    pub phone: Phone,
    pub script: DeviceScript,
    /// By their Call-IDs.
    pub calls: Vec<(String, Callee)>,
    /// It is unplugged.
    pub is_off: bool,
    /// Wants to be registered.
    wants: bool,
    number: usize,
    /// Counts its lives and ports: each contact is another.
    life: u32,
    reg: (String, u32),
    watch: Option<Watch>,
    watched: u32,
    asked: BTreeMap<String, Asked>,
    agenda: BTreeMap<(Time, u64), (u32, Step)>,
    order: u64,
    seed: u64,
    /// Nothing new after this.
    day: Time,
}

impl Device {
    pub fn new(seed: u64, number: usize, script: DeviceScript, day: Time) -> Device {
        let net = match script.way {
            Way::Plain => 4,
            Way::Path => 5,
            Way::Nat => 6,
            Way::Tcp => 7,
        };
        let protocol = if script.way == Way::Tcp {
            Protocol::Tcp
        } else {
            Protocol::Udp
        };
        let address = format!("10.{net}.0.{}:5060", number + 1).parse().expect("an address");
        let dice = Dice::new(seed, 600 + number as u64);
        let mut device = Device {
            phone: Phone::new(format!("d{number}"), address, protocol, dice),
            script,
            calls: Vec::new(),
            is_off: true,
            wants: true,
            number,
            life: 0,
            reg: (String::new(), 0),
            watch: None,
            watched: 0,
            asked: BTreeMap::new(),
            agenda: BTreeMap::new(),
            order: 0,
            seed,
            day,
        };
        device.plan(device.script.boots, Step::Boot);
        for (at, act) in device.script.acts.clone() {
            device.plan_always(at, Step::Act(act));
        }
        device
    }

    pub fn life(&self) -> u32 {
        self.life
    }

    pub fn user(&self) -> String {
        name(self.script.user)
    }

    /// What it registers.
    pub fn contact(&self) -> String {
        let (number, life) = (self.number, self.life);
        let user = self.user();
        match self.script.way {
            Way::Plain => format!("sip:{user}-{number}-{life}@{}", self.phone.address),
            Way::Path => format!("sip:{user}-{number}-{life}@192.168.5.{}:5060", number + 1),
            Way::Nat => format!("sip:{user}-{number}-{life}@192.168.6.{}:5060", number + 1),
            Way::Tcp => format!("sip:{user}-{number}-{life}@{};transport=tcp", self.phone.address),
        }
    }

    fn plan(&mut self, at: Time, step: Step) {
        self.order += 1;
        self.agenda.insert((at, self.order), (self.life, step));
    }

    /// In whichever life it is then.
    fn plan_always(&mut self, at: Time, step: Step) {
        self.order += 1;
        self.agenda.insert((at, self.order), (u32::MAX, step));
    }

    fn boot(&mut self, now: Time) {
        if now > self.day {
            return;
        }
        self.is_off = false;
        self.life += 1;
        self.reg = (format!("reg-{}-{}", self.number, self.life), 0);
        self.watch = None;
        self.asked.clear();
        self.register(now);
        if self.script.watches_s.is_some() {
            let at = now + self.phone.dice.between(0, 5 * S);
            self.plan(at, Step::Watch);
        }
    }

    fn register(&mut self, now: Time) {
        let contact = self.contact();
        let mut wish = format!("Contact: <{contact}>;expires={}", self.script.expires_s);
        if let Some(q) = self.script.q {
            wish += &format!(";q={q}");
        }
        if self.script.instance {
            wish += &format!(";+sip.instance=\"<urn:uuid:{}>\"", self.number);
        }
        self.ask(now, "REGISTER", wish + "\r\n", None, 0);
    }

    fn ask(&mut self, now: Time, method: &'static str, wish: String, proof: Option<&str>, tries: u32) {
        let branch = self.phone.branch();
        let ip = X.split(':').next().unwrap_or_default();
        let (user, via) = (self.user(), self.phone.via(&branch));
        let head = if method == "REGISTER" {
            self.reg.1 += 1;
            let aor = format!("<sip:{user}@{ip}>");
            let path = match self.script.way {
                Way::Path => format!("Supported: path\r\nPath: <sip:{};lr>\r\n", self.phone.address),
                _ => String::new(),
            };
            format!(
                "REGISTER sip:{ip} SIP/2.0\r\n{via}From: {aor};tag=r{}\r\nTo: {aor}\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\n{path}",
                self.life, self.reg.0, self.reg.1
            )
        } else {
            let Some(watch) = self.watch.as_mut() else { return };
            watch.cseq += 1;
            let aor = format!("sip:{user}@{ip}");
            let (to, target) = watch.remote.clone().unwrap_or((format!("<{aor}>"), aor.clone()));
            let (call_id, tag, cseq) = (watch.call_id.clone(), watch.tag.clone(), watch.cseq);
            let route = match self.script.way {
                Way::Path => format!("Record-Route: <sip:{};lr>\r\n", self.phone.address),
                _ => String::new(),
            };
            format!(
                "SUBSCRIBE {target} SIP/2.0\r\n{via}From: <{aor}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} SUBSCRIBE\r\n\
                 Event: message-summary\r\nAccept: application/simple-message-summary\r\nContact: <{}>\r\n{route}",
                self.contact()
            )
        };
        let uri = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let proof = proof.map(|challenge| {
            let challenge = Message::parse_datagram(challenge.as_bytes())
                .expect("a response")
                .challenges("WWW-Authenticate")
                .remove(0);
            let proof = authorization(&challenge, &user, PASSWORD, method, &uri);
            format!("Authorization: {proof}\r\n")
        });
        let bytes = wire::finish(
            format!("{head}Max-Forwards: 70\r\n{wish}{}", proof.unwrap_or_default()),
            None,
        );
        self.asked.insert(branch, Asked { method, wish, tries });
        self.phone.send(now, bytes);
    }

    fn subscribe(&mut self, now: Time, expires_s: u64) {
        if self.watch.is_none() {
            self.watched += 1;
            self.watch = Some(Watch {
                call_id: format!("sub-{}-{}", self.number, self.watched),
                tag: format!("w{}-{}", self.number, self.watched),
                ..Watch::default()
            });
        }
        if let Some(watch) = &mut self.watch {
            watch.ends = expires_s == 0;
        }
        self.ask(now, "SUBSCRIBE", format!("Expires: {expires_s}\r\n"), None, 0);
    }

    pub fn receive(&mut self, now: Time, msg: &Msg) {
        if self.is_off {
            return;
        }
        if msg.status().is_some() {
            let mine = matches!(msg.cseq().1, "REGISTER" | "SUBSCRIBE");
            if mine && self.phone.take(now, msg) == Reply::Final {
                self.answered(now, msg);
            } else if !mine && let Some(call) = self.call_of(msg) {
                call.receive(now, msg);
            }
            return;
        }
        match msg.method() {
            Some("NOTIFY") => self.notified(msg),
            Some("INVITE") if msg.tag_of_to().is_empty() && self.call_of(msg).is_none() => self.called(now, msg),
            method => {
                if let Some(call) = self.call_of(msg) {
                    call.receive(now, msg);
                } else if method != Some("ACK") && !self.phone.absorbs(msg) {
                    let gone = wire::response(msg, 481, "Call/Transaction Does Not Exist", "none", "", None);
                    self.phone.serve(msg, gone);
                }
            }
        }
    }

    fn call_of(&mut self, msg: &Msg) -> Option<&mut Callee> {
        let calls = self.calls.iter_mut();
        calls.filter(|(of, _)| of == msg.call_id()).map(|(_, call)| call).next()
    }

    fn called(&mut self, now: Time, msg: &Msg) {
        let salt = 700 + 100 * self.number as u64 + self.calls.len() as u64 + 7 * u64::from(self.life);
        let user = format!("d{}c{}l{}", self.number, self.calls.len(), self.life);
        let phone = Phone::new(
            user,
            self.phone.address,
            self.phone.protocol,
            Dice::new(self.seed, salt),
        );
        let mut call = Callee::new(phone, self.script.callee.clone());
        call.receive(now, msg);
        self.calls.push((msg.call_id().to_owned(), call));
    }

    fn notified(&mut self, msg: &Msg) {
        if self.phone.absorbs(msg) {
            return;
        }
        let is_asked = self.watch.as_ref().is_some_and(|watch| watch.call_id == msg.call_id());
        let is_alone = msg.tag_of_to().is_empty();
        let (status, phrase, more) = match (is_asked, is_alone, self.script.hears) {
            (true, ..) | (_, true, Hears::Gladly) => (200, "OK", ""),
            (_, true, Hears::Refuses) => (489, "Bad Event", ""),
            (_, true, Hears::Later) if self.phone.dice.chance(60) => (500, "Later", "Retry-After: 3\r\n"),
            (_, true, Hears::Later) => (200, "OK", ""),
            _ => (481, "Subscription Does Not Exist", ""),
        };
        self.phone
            .serve(msg, wire::response(msg, status, phrase, "n", more, None));
        let is_over = msg
            .header("subscription-state")
            .is_some_and(|s| s.starts_with("terminated"));
        if is_asked && is_over {
            self.watch = None;
        }
    }

    fn answered(&mut self, now: Time, msg: &Msg) {
        let Some(asked) = self.asked.remove(msg.branch()) else {
            return;
        };
        let status = msg.status().unwrap_or_default();
        let Asked { method, wish, tries } = asked;
        match status {
            401 if tries < 3 => {
                let challenge = String::from_utf8_lossy(msg.bytes()).into_owned();
                return self.ask(now, method, wish, Some(&challenge), tries + 1);
            }
            423 => {
                let least: u64 = msg
                    .header("min-expires")
                    .and_then(|s| s.parse().ok())
                    .expect("Min-Expires");
                if method == "REGISTER" {
                    self.script.expires_s = least;
                    return self.register(now);
                }
                self.script.watches_s = Some(least);
                return self.subscribe(now, least);
            }
            405 => self.script.watches_s = None,
            _ => {}
        }
        if method == "REGISTER" {
            self.is_registered(now, status, msg);
        } else {
            self.watches(now, status, msg);
        }
    }

    fn is_registered(&mut self, now: Time, status: u16, msg: &Msg) {
        if !self.wants {
            return;
        }
        let contact = format!("<{}>", self.contact());
        let mine = msg.headers("contact").find(|value| value.starts_with(&contact));
        let lasts = mine.and_then(|value| value.split(";expires=").nth(1)?.split(';').next()?.parse::<u64>().ok());
        let again = match (status, lasts) {
            (200, Some(lasts)) => now + lasts * S * self.script.again_percent / 100,
            _ => now + self.phone.dice.between(2 * S, 20 * S),
        };
        self.plan(again, Step::Register);
    }

    fn watches(&mut self, now: Time, status: u16, msg: &Msg) {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.call_id == msg.call_id()) else {
            return;
        };
        if status != 200 {
            self.watch = None;
            let at = now + self.phone.dice.between(S, 10 * S);
            return self.plan(at, Step::Watch);
        }
        let to = msg.header("to").unwrap_or_default().to_owned();
        watch.remote = Some((to, msg.contact().unwrap_or_default().to_owned()));
        if watch.ends {
            return;
        }
        let lasts: u64 = msg.header("expires").and_then(|s| s.parse().ok()).expect("Expires");
        self.plan(now + lasts * S * self.script.again_percent / 100, Step::Watch);
    }

    pub fn tick(&mut self, now: Time) {
        for (_, call) in &mut self.calls {
            call.tick(now);
        }
        for expired in self.phone.tick(now) {
            if let Expired::Client(method) = expired {
                let at = now + self.phone.dice.between(S, 10 * S);
                match method.as_str() {
                    "REGISTER" => self.plan(at, Step::Register),
                    _ => {
                        self.watch = None;
                        self.plan(at, Step::Watch);
                    }
                }
            }
        }
        while let Some((&key, _)) = self.agenda.first_key_value().filter(|((at, _), _)| *at <= now) {
            let Some((life, step)) = self.agenda.remove(&key) else {
                break;
            };
            if life != u32::MAX && life != self.life {
                continue;
            }
            match step {
                Step::Boot => self.boot(now),
                Step::Act(act) => self.act(now, act),
                _ if self.is_off || now > self.day => {}
                Step::Register if self.wants => self.register(now),
                Step::Register => {}
                Step::Watch => {
                    if let Some(expires_s) = self.script.watches_s {
                        self.subscribe(now, expires_s);
                    }
                }
                Step::Return => {
                    self.wants = true;
                    self.register(now);
                }
            }
        }
    }

    fn act(&mut self, now: Time, act: Act) {
        match act {
            Act::Crashes(long) => {
                self.unplug();
                return self.plan_always(now + long, Step::Boot);
            }
            Act::Dies => {
                self.unplug();
                self.day = 0;
                return;
            }
            _ if self.is_off => return,
            _ => {}
        }
        match act {
            Act::Leaves(long) => {
                self.wants = false;
                let contact = self.contact();
                self.ask(now, "REGISTER", format!("Contact: <{contact}>;expires=0\r\n"), None, 0);
                self.plan(now + long, Step::Return);
            }
            Act::LeavesAll => {
                self.ask(now, "REGISTER", "Contact: *\r\nExpires: 0\r\n".to_owned(), None, 0);
            }
            Act::Asks => self.ask(now, "REGISTER", String::new(), None, 0),
            Act::Moves => {
                let port = 5_060 + u16::try_from(self.life + 1).expect("few lives");
                self.unplug();
                self.phone.address.set_port(port);
                self.boot(now);
            }
            Act::Unwatches(long) => {
                if self.watch.as_ref().is_some_and(|watch| watch.remote.is_some()) {
                    self.subscribe(now, 0);
                }
                self.plan(now + long, Step::Watch);
            }
            Act::Crashes(_) | Act::Dies => {}
        }
    }

    /// What it was is gone. Its calls are told nothing.
    fn unplug(&mut self) {
        self.is_off = true;
        self.wants = true;
        self.calls.clear();
        let dice = Dice::new(self.seed, 650 + 20 * self.number as u64 + u64::from(self.life));
        let user = format!("d{}x{}", self.number, self.life);
        self.phone = Phone::new(user, self.phone.address, self.phone.protocol, dice);
        self.life += 1;
    }

    pub fn next_due(&self) -> Option<Time> {
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        let calls = self.calls.iter().filter_map(|(_, call)| call.next_due());
        calls.chain(agenda).chain(self.phone.next_due()).min()
    }

    /// Takes what it and its calls have to say.
    pub fn say(&mut self) -> Vec<Vec<u8>> {
        let mut out = std::mem::take(&mut self.phone.out);
        for (_, call) in &mut self.calls {
            out.append(&mut call.phone.out);
        }
        if self.is_off { Vec::new() } else { out }
    }
}
