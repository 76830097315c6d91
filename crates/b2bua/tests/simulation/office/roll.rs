//! Who is registered, by what crossed Segue's edge: a plain reference of its registrar.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use crate::{
    dice::{S, Time},
    wire::Msg,
};

/// The shortest registration, seconds.
const SHORTEST_S: u64 = 60;
const LONGEST_S: u64 = 7_200;

/// One contact.
#[derive(Debug, Clone)]
pub struct Bound {
    pub uri: String,
    pub until: Time,
    /// When it was said last.
    pub said_at: Time,
    pub q: u32,
    /// Where what is for it must go first.
    pub hop: SocketAddr,
    instance: Option<String>,
    call_id: String,
    cseq: u32,
}

/// All of them, by user.
#[derive(Default)]
pub struct Roll {
    users: BTreeMap<String, Vec<Bound>>,
    /// REGISTERs that came, by branch, and where from.
    asked: BTreeMap<String, (Msg, SocketAddr)>,
    /// Those that have their answer: it is said again to who asks again.
    done: BTreeSet<String>,
}

impl Roll {
    pub fn came(&mut self, msg: &Msg, from: SocketAddr) {
        if self.done.contains(msg.branch()) {
            return;
        }
        self.asked
            .entry(msg.branch().to_owned())
            .or_insert_with(|| (msg.clone(), from));
    }

    /// Those of a user that are called first: all of the highest preference.
    pub fn first(&self, user: &str, now: Time) -> BTreeSet<String> {
        let all = || self.all(now).filter(|(of, _)| *of == user).map(|(_, bound)| bound);
        let most = all().map(|bound| bound.q).max();
        let first = all().filter(|bound| Some(bound.q) == most);
        first.map(|bound| bound.uri.clone()).collect()
    }

    /// All, with their users.
    pub fn all(&self, now: Time) -> impl Iterator<Item = (&String, &Bound)> {
        let all = self.users.iter();
        let all = all.flat_map(|(user, bounds)| bounds.iter().map(move |bound| (user, bound)));
        all.filter(move |(_, bound)| bound.until > now)
    }

    pub fn total(&self, now: Time) -> usize {
        self.all(now).count()
    }

    /// A command has removed them.
    pub fn remove_all(&mut self, user: &str) {
        self.users.remove(user);
    }

    /// Segue has answered a REGISTER for the first time.
    pub fn answered(&mut self, now: Time, response: &Msg) -> Result<&'static str, String> {
        let Some((request, from)) = self.asked.remove(response.branch()) else {
            return Ok("REGISTER again");
        };
        if response.status() != Some(401) {
            self.done.insert(response.branch().to_owned());
        }
        let user = user_of(request.header("to").unwrap_or_default());
        let status = response.status().unwrap_or_default();
        let all = self.users.entry(user.clone()).or_default();
        all.retain(|bound| bound.until > now);
        let (wish, cseq) = (request.header("contact"), request.cseq().0);
        let is_old = |bound: &Bound| bound.call_id == request.call_id() && cseq <= bound.cseq;
        let uri = wish.and_then(|w| Some(w.split_once('<')?.1.split_once('>')?.0.to_owned()));
        let expires_s: u64 = wish.and_then(|w| param(w, "expires")?.parse().ok()).unwrap_or_default();
        let known = |all: &[Bound]| all.iter().position(|bound| Some(&bound.uri) == uri.as_ref());
        match (status, wish) {
            (401, _) if request.header("authorization").is_none() => return Ok("REGISTER: asked who it is"),
            (401, _) => return Ok("REGISTER: its nonce was old"),
            (423, Some(_)) if (1..SHORTEST_S).contains(&expires_s) => return Ok("REGISTER: too short"),
            (400, Some("*")) if all.iter().any(is_old) => return Ok("REGISTER: out of order"),
            (400, Some(_)) if known(all).is_some_and(|at| is_old(&all[at])) => return Ok("REGISTER: out of order"),
            (503, _) => return Ok("REGISTER: the server stops"),
            (200, _) => {}
            _ => return Err(format!("{user} got {status} to a REGISTER")),
        }
        let mark = match wish {
            None => "REGISTER: asked",
            Some("*") => {
                if all.iter().any(is_old) {
                    return Err(format!("{user}: a REGISTER out of order removed all"));
                }
                all.clear();
                "REGISTER: all taken back"
            }
            Some(wish) => {
                let before = known(all).map(|at| all.remove(at));
                if before.as_ref().is_some_and(is_old) {
                    return Err(format!("{user}: a REGISTER out of order was done"));
                }
                let instance = param(wish, "+sip.instance").map(str::to_owned);
                all.retain(|bound| {
                    let same_request = bound.call_id == request.call_id() && bound.cseq == cseq;
                    bound.instance.is_none() || bound.instance != instance || same_request
                });
                if expires_s > 0 {
                    let q = param(wish, "q").map_or(1_000, |q| (q.parse::<f64>().expect("a q") * 1_000.0) as u32);
                    all.push(Bound {
                        uri: uri.unwrap_or_default(),
                        said_at: now,
                        until: now + expires_s.min(LONGEST_S) * S,
                        q,
                        hop: from,
                        instance,
                        call_id: request.call_id().to_owned(),
                        cseq,
                    });
                }
                match (before.is_some(), expires_s) {
                    (_, 0) => "REGISTER: taken back",
                    (true, _) => "REGISTER: said again",
                    (false, _) => "REGISTER: new",
                }
            }
        };
        let said: BTreeMap<String, u64> = response
            .headers("contact")
            .filter_map(|value| {
                let uri = value.split_once('<')?.1.split_once('>')?.0;
                Some((uri.to_owned(), param(value, "expires")?.parse().ok()?))
            })
            .collect();
        let left = |bound: &Bound| (bound.uri.clone(), (bound.until - now).div_ceil(S));
        let mine: BTreeMap<String, u64> = all.iter().map(left).collect();
        // The store keeps milliseconds: after a restart a second may have begun.
        let same = said.len() == mine.len()
            && mine
                .iter()
                .all(|(uri, left)| said.get(uri).is_some_and(|said| said == left || said + 1 == *left));
        if !same {
            return Err(format!("{user} is registered at {mine:?}, and was told {said:?}"));
        }
        Ok(mark)
    }
}

/// User part of the URI in a header.
pub fn user_of(value: &str) -> String {
    let after = value.split_once("sip:").map_or(value, |(_, rest)| rest);
    after.split('@').next().unwrap_or_default().to_owned()
}

/// A parameter of a Contact.
fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (_, params) = value.split_once('>')?;
    let value = params.split(';').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
    value.map(|v| v.trim_matches('"'))
}
