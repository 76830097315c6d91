//! What callers and callees share: transactions and confirmed dialogs, in their simplest correct form.

use std::{collections::BTreeMap, net::SocketAddr};

use segue_sip::Protocol;

use crate::{
    body,
    dice::{Dice, MS, S, Time},
    timers,
    wire::{self, Msg},
};

pub const T1: Time = 500 * MS;
pub const T2: Time = 4 * S;
/// How long anything is tried.
pub const TRIED: Time = 64 * T1;

/// Where Segue listens.
pub const X: &str = "10.0.0.254:5060";

/// A user agent's lower half. What it wants to send is in `out`.
pub struct Phone {
    pub user: String,
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub dice: Dice,
    pub out: Vec<Vec<u8>>,
    /// Knows session timers.
    pub timers: bool,
    made: u64,
    clients: Vec<Client>,
    repeats: Vec<Repeat>,
    served: BTreeMap<(String, String), Vec<u8>>,
    acks: BTreeMap<String, Vec<u8>>,
}

struct Client {
    branch: String,
    method: String,
    uri: String,
    bytes: Vec<u8>,
    next: Option<Time>,
    interval: Time,
    until: Time,
}

/// Something said again until it is stopped.
struct Repeat {
    id: String,
    bytes: Vec<u8>,
    next: Time,
    interval: Time,
    longest: Time,
    until: Time,
}

/// What gave up waiting.
pub enum Expired {
    Client(String),
    Repeat(String),
}

/// What a response is to our requests.
#[derive(PartialEq)]
pub enum Reply {
    Provisional,
    Final,
    Again,
}

impl Phone {
    pub fn new(user: String, address: SocketAddr, protocol: Protocol, dice: Dice) -> Phone {
        let (clients, repeats, out) = (Vec::new(), Vec::new(), Vec::new());
        let (served, acks) = (BTreeMap::new(), BTreeMap::new());
        Phone {
            user,
            address,
            protocol,
            dice,
            out,
            timers: false,
            made: 0,
            clients,
            repeats,
            served,
            acks,
        }
    }

    /// Its names begin here: another goes by the same user.
    pub fn names_from(&mut self, made: u64) {
        self.made = made;
    }

    /// A name of ours that no other has.
    pub fn fresh(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}{}-{}", self.user, self.made)
    }

    pub fn branch(&mut self) -> String {
        self.fresh("z9hG4bK")
    }

    pub fn via(&self, branch: &str) -> String {
        let transport = if self.protocol == Protocol::Udp { "UDP" } else { "TCP" };
        format!("Via: SIP/2.0/{transport} {};branch={branch};rport\r\n", self.address)
    }

    pub fn contact(&self) -> String {
        let param = if self.protocol == Protocol::Udp {
            ""
        } else {
            ";transport=tcp"
        };
        format!("Contact: <sip:{}@{}{param}>\r\n", self.user, self.address)
    }

    /// Sends a request and keeps at it (RFC 3261 §17.1).
    pub fn send(&mut self, now: Time, bytes: Vec<u8>) {
        let msg = Msg::read(&bytes);
        let next = (self.protocol == Protocol::Udp).then_some(now + T1);
        self.clients.push(Client {
            branch: msg.branch().to_owned(),
            method: msg.cseq().1.to_owned(),
            uri: msg.request_uri().to_owned(),
            bytes: bytes.clone(),
            next,
            interval: T1,
            until: now + TRIED,
        });
        self.out.push(bytes);
    }

    /// The client transaction of this branch will not be waited for longer than this.
    pub fn wait_until(&mut self, branch: &str, until: Time) {
        for client in self
            .clients
            .iter_mut()
            .filter(|c| c.branch == branch && c.method == "INVITE")
        {
            client.until = client.until.min(until);
        }
    }

    /// Stops an INVITE that has had no response.
    pub fn abandon(&mut self, branch: &str) {
        self.clients.retain(|c| c.branch != branch || c.method != "INVITE");
    }

    /// Sends it now and again until stopped.
    pub fn repeat(&mut self, now: Time, id: &str, bytes: Vec<u8>, longest: Time) {
        self.out.push(bytes.clone());
        let id = id.to_owned();
        self.repeats.push(Repeat {
            id,
            bytes,
            next: now + T1,
            interval: T1,
            longest,
            until: now + TRIED,
        });
    }

    /// Whether it was still being repeated.
    pub fn stop(&mut self, id: &str) -> bool {
        let before = self.repeats.len();
        self.repeats.retain(|r| r.id != id);
        self.repeats.len() < before
    }

    /// Answers a request and remembers the answer for its retransmissions.
    pub fn serve(&mut self, request: &Msg, bytes: Vec<u8>) {
        self.remember(request, bytes.clone());
        self.out.push(bytes);
    }

    /// What retransmissions of this request get.
    pub fn remember(&mut self, request: &Msg, bytes: Vec<u8>) {
        self.served
            .insert((request.branch().to_owned(), request.cseq().1.to_owned()), bytes);
    }

    /// A retransmission gets the answer again.
    pub fn absorbs(&mut self, request: &Msg) -> bool {
        let key = (request.branch().to_owned(), request.cseq().1.to_owned());
        let Some(bytes) = self.served.get(&key) else {
            return false;
        };
        if !bytes.is_empty() {
            self.out.push(bytes.clone());
        }
        true
    }

    /// What a response means; the ACK of a refused INVITE is sent (RFC 3261 §17.1.1.3).
    pub fn take(&mut self, now: Time, response: &Msg) -> Reply {
        let (status, (number, method)) = (response.status().unwrap_or_default(), response.cseq());
        let at = self
            .clients
            .iter()
            .position(|c| c.branch == response.branch() && c.method == method);
        let Some(at) = at else {
            if let Some(ack) = self
                .acks
                .get(response.branch())
                .filter(|_| status >= 300 && method == "INVITE")
            {
                self.out.push(ack.clone());
            }
            return Reply::Again;
        };
        if status < 200 {
            let client = &mut self.clients[at];
            if method == "INVITE" {
                client.next = None;
                client.until = now + 400 * S;
            } else {
                client.interval = T2;
            }
            return Reply::Provisional;
        }
        let client = self.clients.remove(at);
        if method == "INVITE" && status >= 300 {
            let (from, to) = (
                response.header("from").unwrap_or_default(),
                response.header("to").unwrap_or_default(),
            );
            let text = format!(
                "ACK {} SIP/2.0\r\n{}Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {number} ACK\r\n",
                client.uri,
                self.via(&client.branch),
                response.call_id()
            );
            let ack = wire::finish(text, None);
            self.out.push(ack.clone());
            self.acks.insert(client.branch, ack);
        }
        Reply::Final
    }

    pub fn tick(&mut self, now: Time) -> Vec<Expired> {
        let mut expired = Vec::new();
        for client in &mut self.clients {
            if client.until <= now {
                expired.push(Expired::Client(client.method.clone()));
            } else if client.next.is_some_and(|n| n <= now) {
                self.out.push(client.bytes.clone());
                client.interval *= 2;
                if client.method != "INVITE" {
                    client.interval = client.interval.min(T2);
                }
                client.next = Some(now + client.interval);
            }
        }
        self.clients.retain(|c| c.until > now);
        for repeat in &mut self.repeats {
            if repeat.until <= now {
                expired.push(Expired::Repeat(repeat.id.clone()));
            } else if repeat.next <= now {
                self.out.push(repeat.bytes.clone());
                repeat.interval = (repeat.interval * 2).min(repeat.longest);
                repeat.next = now + repeat.interval;
            }
        }
        self.repeats.retain(|r| r.until > now);
        expired
    }

    pub fn next_due(&self) -> Option<Time> {
        let clients = self.clients.iter().map(|c| c.next.map_or(c.until, |n| n.min(c.until)));
        clients.chain(self.repeats.iter().map(|r| r.next.min(r.until))).min()
    }
}

/// A confirmed (or early) dialog, either side.
pub struct Dialog {
    pub call_id: String,
    /// Our header value with its tag, theirs with theirs.
    pub local: String,
    pub remote: String,
    pub target: String,
    pub cseq: u32,
    /// Both ways to say that it is over.
    pub bye_sent: bool,
    pub bye_got: bool,
    acks: BTreeMap<u32, Vec<u8>>,
    offering: Option<u32>,
    /// The last re-INVITE had no SDP.
    asked: bool,
}

impl Dialog {
    /// The caller's side, from a response that makes it.
    pub fn of_caller(response: &Msg, cseq: u32) -> Dialog {
        let header = |name| response.header(name).unwrap_or_default().to_owned();
        Dialog::new(response, header("from"), header("to"), cseq)
    }

    /// The callee's side, from the INVITE; `tag` is ours.
    pub fn of_callee(invite: &Msg, tag: &str) -> Dialog {
        let header = |name| invite.header(name).unwrap_or_default().to_owned();
        Dialog::new(invite, format!("{};tag={tag}", header("to")), header("from"), 0)
    }

    fn new(msg: &Msg, local: String, remote: String, cseq: u32) -> Dialog {
        let target = msg
            .contact()
            .expect("a message that makes a dialog has a Contact")
            .to_owned();
        let call_id = msg.call_id().to_owned();
        let acks = BTreeMap::new();
        Dialog {
            call_id,
            local,
            remote,
            target,
            cseq,
            bye_sent: false,
            bye_got: false,
            acks,
            offering: None,
            asked: false,
        }
    }

    pub fn is_open(&self) -> bool {
        !self.bye_sent && !self.bye_got
    }

    /// A request within the dialog.
    pub fn request(&mut self, phone: &mut Phone, method: &str, headers: &str, sdp: Option<&str>) -> Vec<u8> {
        self.cseq += 1;
        let branch = phone.branch();
        self.text(phone, &branch, self.cseq, method, headers, sdp)
    }

    fn text(&self, phone: &Phone, branch: &str, cseq: u32, method: &str, headers: &str, sdp: Option<&str>) -> Vec<u8> {
        let text = format!(
            "{method} {} SIP/2.0\r\n{}Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n{}{headers}",
            self.target,
            phone.via(branch),
            self.local,
            self.remote,
            self.call_id,
            phone.contact()
        );
        wire::finish(text, sdp)
    }

    /// ACK of a 2xx; the same bytes again for its retransmissions.
    pub fn ack(&mut self, phone: &mut Phone, cseq: u32, sdp: Option<&str>) {
        if !self.acks.contains_key(&cseq) {
            let branch = phone.branch();
            let bytes = self.text(phone, &branch, cseq, "ACK", "", sdp);
            self.acks.insert(cseq, bytes);
        }
        phone.out.push(self.acks[&cseq].clone());
    }

    pub fn hang_up(&mut self, phone: &mut Phone, now: Time) {
        if self.is_open() {
            let bye = self.request(phone, "BYE", "", None);
            phone.send(now, bye);
            self.bye_sent = true;
        }
    }

    /// Hold or resume: re-INVITE (without SDP it asks for an offer) or UPDATE.
    pub fn offer(&mut self, phone: &mut Phone, now: Time, method: &str, sdp: Option<&str>) {
        self.offer_with(phone, now, method, "", sdp);
    }

    /// The same with more headers; false: not now.
    pub fn offer_with(&mut self, phone: &mut Phone, now: Time, method: &str, headers: &str, sdp: Option<&str>) -> bool {
        let may = self.is_open() && self.offering.is_none();
        if may {
            let bytes = self.request(phone, method, headers, sdp);
            self.offering = Some(self.cseq);
            self.asked = sdp.is_none();
            phone.send(now, bytes);
        }
        may
    }

    /// A response to a request within the dialog. Whether a 2xx without an answer, or a wrong one, is for others to judge.
    pub fn response(&mut self, phone: &mut Phone, response: &Msg, reply: &Reply) {
        let (number, method) = response.cseq();
        let status = response.status().unwrap_or_default();
        if method == "INVITE" && (200..300).contains(&status) {
            let answer = response.sdp().filter(|_| self.asked);
            let answer = answer.map(|offer| body::answer(offer, phone.address, true, "sendrecv", 7));
            self.ack(phone, number, answer.as_deref());
        }
        if *reply == Reply::Final && self.offering == Some(number) {
            self.offering = None;
        }
    }

    /// A request within the dialog, not seen before.
    pub fn serve(&mut self, phone: &mut Phone, now: Time, request: &Msg, sdp: &str) {
        let tag = self.local.rsplit(";tag=").next().unwrap_or_default().to_owned();
        let say = |status, phrase, headers: &str, sdp| wire::response(request, status, phrase, &tag, headers, sdp);
        let timer = if phone.timers {
            timers::agrees(request)
        } else {
            String::new()
        };
        let yes = phone.contact() + &timer;
        match request.method().unwrap_or_default() {
            "ACK" => {
                phone.stop(&format!("2xx {} {}", tag, request.cseq().0));
            }
            "BYE" => {
                self.bye_got = true;
                phone.serve(request, say(200, "OK", "", None));
            }
            "INVITE" if self.offering.is_some() => phone.serve(request, say(491, "Request Pending", "", None)),
            "INVITE" => {
                let bytes = say(200, "OK", &yes, Some(sdp));
                phone.remember(request, Vec::new());
                phone.repeat(now, &format!("2xx {} {}", tag, request.cseq().0), bytes, T2);
            }
            "UPDATE" => {
                let answer = request.sdp().map(|_| sdp);
                phone.serve(request, say(200, "OK", &yes, answer));
            }
            "OPTIONS" | "INFO" => phone.serve(request, say(200, "OK", "", None)),
            other => panic!("{} got a {other}", phone.user),
        }
    }
}
