//! Session timers of the phones (RFC 4028).

use crate::{
    dice::{Dice, S, Time},
    wire::Msg,
};

/// How a phone refreshes the session, when that is its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    Update,
    ReInvite,
    /// It forgets to.
    Never,
}

/// What a phone wants of session timers.
#[derive(Debug, Clone, Copy)]
pub struct Timer {
    /// Seconds; of a callee no more than what it was asked.
    pub interval_s: u64,
    /// Whether it names itself as the refresher, or Segue; `None`: nobody.
    pub mine: Option<bool>,
    pub how: Refresh,
}

impl Timer {
    pub fn by(dice: &mut Dice) -> Timer {
        Timer {
            interval_s: dice.pick(&[90, 90, 100, 130, 1_800]),
            mine: dice.pick(&[None, Some(true), Some(false)]),
            how: dice.weigh(&[(4, Refresh::Update), (4, Refresh::ReInvite), (2, Refresh::Never)]),
        }
    }

    /// What a caller's INVITE says.
    pub fn asks(&self) -> String {
        let who = match self.mine {
            None => "",
            Some(true) => ";refresher=uac",
            Some(false) => ";refresher=uas",
        };
        format!("Supported: timer\r\nSession-Expires: {}{who}\r\n", self.interval_s)
    }

    /// What a callee's 200 says to this INVITE: no longer an interval than was asked.
    pub fn answers(&mut self, invite: &Msg) -> String {
        let asked = expires(invite).map_or(u64::MAX, |(asked, _)| asked);
        self.interval_s = self.interval_s.min(asked);
        let who = if self.mine == Some(true) { "uas" } else { "uac" };
        format!(
            "Require: timer\r\nSession-Expires: {};refresher={who}\r\n",
            self.interval_s
        )
    }
}

/// Seconds and refresher of Session-Expires.
pub fn expires(msg: &Msg) -> Option<(u64, Option<&str>)> {
    let mut parts = msg.header("session-expires")?.split(';').map(str::trim);
    let seconds = parts.next()?.parse().ok()?;
    Some((seconds, parts.find_map(|p| p.strip_prefix("refresher="))))
}

/// When a session with this interval wants to be refreshed (RFC 4028 §7.4).
pub fn half(interval_s: u64) -> Time {
    interval_s * S / 2
}

/// What a refresh says: the refresher stays who it is.
pub fn refreshes(interval_s: u64) -> String {
    format!("Supported: timer\r\nSession-Expires: {interval_s};refresher=uac\r\n")
}

/// What a phone that knows timers says in its 2xx to a request with Session-Expires: yes.
pub fn agrees(request: &Msg) -> String {
    match request.header("session-expires") {
        Some(value) => format!("Require: timer\r\nSession-Expires: {value}\r\n"),
        None => String::new(),
    }
}
