//! A provider of outside lines: Segue registers with it (`segue trunk add`), calls come from it and go to it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use md5::Digest;
use segue_b2bua::TrunkSetup;
use segue_policy::{Trunk, TrunkServer};
use segue_sip::{Account, Protocol};
use segue_sip_wire::DigestAlgorithm;

use super::world::World;
use crate::{
    callee::{Callee, CalleeScript},
    dice::{Dice, S, Time},
    phone::Phone,
    wire::{self, Msg},
};

/// Where it is.
pub const AT: &str = "10.9.0.1:5060";
/// The number of the line.
pub const NUMBER: &str = "+49307650";
/// Somebody whom its network reaches.
pub const OUTSIDE: &str = "+4940123456";

const USER: &str = "office";
const PASSWORD: &str = "open";
/// A line that is up is registered after this long: its first REGISTER waits a little, and all may get lost.
const REGISTERED: Time = 60 * S;

/// What it will do.
#[derive(Debug, Clone)]
pub struct ProviderScript {
    /// How long it grants, seconds.
    pub grants_s: u64,
    /// From when to when it says nothing.
    pub dark: Option<(Time, Time)>,
    pub ping_ms: u64,
    pub callee: CalleeScript,
}

pub struct Provider {
    pub phone: Phone,
    script: ProviderScript,
    calls: Vec<(String, Callee)>,
    /// The contact that is registered, until when, and by which Call-ID and CSeq.
    bound: Option<(String, Time, String, u32)>,
    nonces: u32,
    /// Its last 200 to a REGISTER has reached Segue.
    is_heard: bool,
    /// Since when Segue is there and stays.
    pub since: Time,
    seed: u64,
}

/// The line, as a command adds it.
pub fn trunk(script: &ProviderScript) -> TrunkSetup {
    let server = TrunkServer {
        uri: format!("sip:{AT}").parse().expect("a server"),
        order: 0,
        weight: 0,
    };
    let trunk = Trunk {
        name: "main".into(),
        servers: vec![server],
        ping_ms: script.ping_ms,
        register: true,
        main_number: NUMBER.into(),
        digest_user: USER.into(),
        digest_realm: "provider".into(),
        digest_secret: "file".into(),
        ..Trunk::default()
    };
    assert_eq!(trunk.check(), Ok(()));
    let account = Account {
        realm: "provider".into(),
        username: USER.into(),
        secret: PASSWORD.into(),
        algorithms: vec![DigestAlgorithm::Md5],
        tls_only: false,
    };
    TrunkSetup {
        trunk,
        account: Some(Arc::new(account)),
    }
}

impl Provider {
    pub fn new(seed: u64, script: ProviderScript) -> Provider {
        let dice = Dice::new(seed, 27);
        Provider {
            phone: Phone::new("provider".into(), at(), Protocol::Udp, dice),
            script,
            calls: Vec::new(),
            bound: None,
            nonces: 0,
            is_heard: false,
            since: 0,
            seed,
        }
    }

    fn is_dark(&self, now: Time) -> bool {
        self.script.dark.is_some_and(|(from, to)| (from..to).contains(&now))
    }

    fn is_bound(&self, now: Time) -> bool {
        self.bound.as_ref().is_some_and(|(_, until, ..)| *until > now)
    }

    /// What is done with a message; a word for what it was, or what is wrong with it.
    pub fn receive(&mut self, now: Time, msg: &Msg) -> Result<Option<&'static str>, String> {
        if self.is_dark(now) {
            return Ok(None);
        }
        let call = self.calls.iter_mut().find(|(of, _)| of == msg.call_id());
        if msg.status().is_some() || msg.method() != Some("REGISTER") && call.is_some() {
            if let Some((_, call)) = call {
                call.receive(now, msg);
            }
            return Ok(None);
        }
        if self.phone.absorbs(msg) {
            return Ok(None);
        }
        match msg.method() {
            Some("REGISTER") => return self.registers(now, msg).map(Some),
            Some("OPTIONS") => self.phone.serve(msg, wire::response(msg, 200, "OK", "o", "", None)),
            Some("INVITE") => {
                let salt = 2_000 + self.calls.len() as u64;
                let user = format!("p{}", self.calls.len());
                let phone = Phone::new(user, at(), Protocol::Udp, Dice::new(self.seed, salt));
                let mut call = Callee::new(phone, self.script.callee.clone());
                call.receive(now, msg);
                self.calls.push((msg.call_id().to_owned(), call));
                return Self::is_ours(msg).map(Some);
            }
            Some("ACK") | None => {}
            Some(_) => {
                let gone = wire::response(msg, 481, "Call/Transaction Does Not Exist", "none", "", None);
                self.phone.serve(msg, gone);
            }
        }
        Ok(None)
    }

    /// A call by the line says whose it is, and nothing of the office's phones.
    fn is_ours(invite: &Msg) -> Result<&'static str, String> {
        let from = super::roll::user_of(invite.header("from").unwrap_or_default());
        let to = super::roll::user_of(invite.request_uri());
        if ![NUMBER, USER].contains(&from.as_str()) {
            return Err(format!("a call by the line is {from}'s"));
        }
        if to.trim_start_matches('+') != OUTSIDE.trim_start_matches('+') {
            return Err(format!("a call by the line is to {to}"));
        }
        Ok("a call went out by the line")
    }

    fn registers(&mut self, now: Time, msg: &Msg) -> Result<&'static str, String> {
        let Some(given) = msg.header("authorization") else {
            self.nonces += 1;
            let challenge = format!(
                "WWW-Authenticate: Digest realm=\"provider\", nonce=\"n{}\", qop=\"auth\", algorithm=MD5\r\n",
                self.nonces
            );
            self.phone
                .serve(msg, wire::response(msg, 401, "Unauthorized", "r", &challenge, None));
            return Ok("the line was asked who it is");
        };
        let given = fields(given);
        if !is_right(&given) {
            return Err(format!("the line gives wrong credentials: {given:?}"));
        }
        let contact = msg.header("contact").unwrap_or_default().to_owned();
        let wanted: u64 = msg
            .header("expires")
            .and_then(|value| value.parse().ok())
            .ok_or("a REGISTER of the line without Expires")?;
        let (call_id, cseq) = (msg.call_id().to_owned(), msg.cseq().0);
        if let Some((_, _, of, before)) = &self.bound
            && *of == call_id
            && *before >= cseq
        {
            return Err(format!("a REGISTER of the line out of order: {cseq} after {before}"));
        }
        let lasts = wanted.min(self.script.grants_s);
        let was = self.bound.is_some();
        self.bound = (lasts > 0).then(|| (contact.clone(), now + lasts * S, call_id, cseq));
        let granted = match lasts {
            0 => String::new(),
            _ => format!("Contact: {contact};expires={lasts}\r\n"),
        };
        self.phone
            .serve(msg, wire::response(msg, 200, "OK", "r", &granted, None));
        Ok(match (lasts, was) {
            (0, _) => "the line was given back",
            (_, true) => "the line was registered again",
            (_, false) => "the line was registered",
        })
    }

    /// Whether what it said gets to Segue.
    pub fn reaches(&mut self, bytes: &[u8], arrives: bool) {
        let msg = Msg::read(bytes);
        if msg.status() == Some(200) && msg.cseq().1 == "REGISTER" {
            self.is_heard = arrives;
        }
    }

    pub fn tick(&mut self, now: Time) {
        for (_, call) in &mut self.calls {
            call.tick(now);
        }
        self.phone.tick(now);
    }

    pub fn next_due(&self) -> Option<Time> {
        let calls = self.calls.iter().filter_map(|(_, call)| call.next_due());
        calls.chain(self.phone.next_due()).min()
    }

    /// Takes what it has to say.
    pub fn say(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut out = std::mem::take(&mut self.phone.out);
        for (_, call) in &mut self.calls {
            out.append(&mut call.phone.out);
        }
        if self.is_dark(now) { Vec::new() } else { out }
    }
}

impl World {
    /// A line is registered while the server is up and the provider has always been there.
    pub(super) fn line_stands(&self) -> Result<(), String> {
        let Some(provider) = &self.provider else { return Ok(()) };
        let was_dark = provider.script.dark.is_some_and(|(from, _)| from <= self.now);
        let settled = self.is_up && self.now >= provider.since + REGISTERED && self.now <= self.setup.day;
        match settled && !was_dark && !provider.is_bound(self.now) {
            true => Err(format!("the line is not registered: {:?}", provider.bound)),
            false => Ok(()),
        }
    }

    /// A line that was removed is not registered any more, unless Segue has never heard that it was.
    pub(super) fn line_is_gone(&self) -> Result<(), String> {
        let Some(provider) = &self.provider else { return Ok(()) };
        match (&provider.bound, provider.script.dark) {
            (Some(bound), None) if provider.is_heard => {
                Err(format!("a line that was removed is still registered: {bound:?}"))
            }
            _ => Ok(()),
        }
    }
}

pub fn at() -> SocketAddr {
    AT.parse().expect("an address")
}

/// The fields of credentials.
fn fields(given: &str) -> BTreeMap<String, String> {
    let given = given.trim_start_matches("Digest ").split(',');
    let pair = |field: &str| {
        let (name, value) = field.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    };
    given.filter_map(pair).collect()
}

/// RFC 8760 §2.4, with qop, for MD5.
fn is_right(given: &BTreeMap<String, String>) -> bool {
    let of = |name: &str| given.get(name).cloned().unwrap_or_default();
    let hash = |text: String| -> String {
        let bytes = md5::Md5::digest(text.as_bytes());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let a1 = hash(format!("{USER}:provider:{PASSWORD}"));
    let a2 = hash(format!("REGISTER:{}", of("uri")));
    let (nonce, nc, cnonce) = (of("nonce"), of("nc"), of("cnonce"));
    of("username") == USER && of("response") == hash(format!("{a1}:{nonce}:{nc}:{cnonce}:auth:{a2}"))
}
