//! The way on of a call whose next server others choose: by what is left of its Route, else by the profile's next hop, else to the
//! target's own host (RFC 3261 §16.4, §16.12). Only what the profile's destinations admit goes on: no open relay.

use std::net::SocketAddr;

use segue_policy::{Callee, Emergency, NextHop, NextHops, Plan};
use segue_records::CallResult;
use segue_sip_wire::{Host, Scheme, Uri};

use crate::{cx::Cx, ending::Ending, io::Way, phase::Phase};

/// Why a call does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// There is neither Route nor next hop, and the target names this server or none.
    Nowhere,
    /// Nothing admits it: this place or callee.
    NotAdmitted(String),
    /// Nothing admits the place that A's Route leads to.
    RouteNotAdmitted(String),
    /// Its next hop is this server again.
    Here,
}

impl Cx {
    /// Whether a URI names one of our own sockets.
    pub fn is_here(&self, uri: &Uri) -> bool {
        let port = uri.port_or_default();
        match uri.host() {
            None => false,
            Some(Host::Name(name)) => {
                let mut names = self.invite.own_names.iter();
                names.any(|(own, at)| own.eq_ignore_ascii_case(name) && *at == port)
            }
            Some(host) => host.ip().is_some_and(|ip| {
                self.invite.own_sockets.iter().any(|own| {
                    let every = own.ip().is_unspecified() && ip.is_loopback();
                    own.port() == port && (own.ip() == ip || every)
                })
            }),
        }
    }

    /// Whether whom a URI names is to be sought among the subscribers: its host is one of the profile's domains, or one of our own
    /// addresses and names; or it has none (`tel:`), or the profile names no domain.
    pub fn is_ours(&self, uri: &Uri) -> bool {
        let domains = &self.invite.profile.domains;
        let Some(host) = uri.host().filter(|_| !domains.is_empty()) else {
            return true;
        };
        let bare = bare_host(uri);
        if domains.iter().any(|domain| domain.admits(bare.trim_end_matches('.'))) {
            return true;
        }
        // Without a port it is whichever of our sockets takes such calls.
        let is_port = |own: u16| uri.port().is_none_or(|port| port == own);
        match host {
            Host::Name(name) => {
                let mut names = self.invite.own_names.iter();
                names.any(|(own, port)| own.eq_ignore_ascii_case(name) && is_port(*port))
            }
            host => host.ip().is_some_and(|ip| {
                let is_own = |own: &SocketAddr| own.ip() == ip || own.ip().is_unspecified() && ip.is_loopback();
                let mut own = self.invite.own_sockets.iter();
                own.any(|own| is_own(own) && is_port(own.port()))
            }),
        }
    }

    /// Take our own entry from the Route: "If the first value in the Route header field indicates this proxy, the proxy MUST remove
    /// that value from the request" (§16.4).
    pub fn leave_own_route(&mut self) {
        if self.invite.route.first().is_some_and(|first| self.is_here(first)) {
            self.invite.route.remove(0);
        }
    }

    /// How an emergency call gets to who helps: nothing needs to admit it. Where the profile's own hops for it do not take it, its
    /// other next hops are a second way. Where A's Route or Request-URI leads is A's word as ever, which is followed unasked where
    /// nobody here knows better: a call that helps nobody else is better than none.
    fn way_to_help(&self, target: &Uri) -> Result<Way, NoWay> {
        let profile = &self.invite.profile;
        let help = profile.emergency_next_hop.iter().flat_map(NextHops::iter);
        let next = || profile.next_hop.iter().flat_map(NextHops::iter);
        if profile.emergency_next_hop.is_some()
            && let Ok(way) = self.by_hops(help.chain(next()))
        {
            return Ok(way);
        }
        let no = match self.way_beyond(target, true) {
            Ok(way) => return Ok(way),
            Err(no) => no,
        };
        self.by_hops(next()).ok().or_else(|| self.last_way(target)).ok_or(no)
    }

    /// The last way that there can be.
    fn last_way(&self, target: &Uri) -> Option<Way> {
        let by_proxy = self.by_hops(self.invite.profile.outbound_proxy.iter()).ok();
        let by_route = || {
            let first = self.invite.route.first()?;
            (!self.is_here(first)).then(|| Way {
                route: self.invite.route.clone(),
                ..Way::default()
            })
        };
        let by_host = || (target.is_sip() && !self.is_here(target)).then(Way::default);
        by_proxy.or_else(by_route).or_else(by_host)
    }

    /// By the first of these hops that is not this server, and else by the others.
    fn by_hops<'a>(&self, hops: impl Iterator<Item = &'a NextHop>) -> Result<Way, NoWay> {
        let mut others: Vec<NextHop> = Vec::new();
        for hop in hops {
            let is_here = hop.uri().parse().is_ok_and(|uri| self.is_here(&uri));
            if !is_here && !others.contains(hop) {
                others.push(hop.clone());
            }
        }
        if others.is_empty() {
            return Err(NoWay::Here);
        }
        let first = others.remove(0);
        let uri = first.uri().parse().map_err(|_| NoWay::Nowhere)?;
        let (route, hop) = match first.is_route() {
            true => (vec![uri], None),
            false => (Vec::new(), Some(uri)),
        };
        Ok(Way {
            route,
            hop,
            others,
            ..Way::default()
        })
    }

    /// Whether there is a Route or a next hop, so that targets need not be reached by their own hosts.
    pub fn has_next_hop(&self) -> bool {
        !self.invite.route.is_empty() || self.invite.profile.next_hop.is_some()
    }

    /// How a request to this target goes on. A subscriber's own target is admitted to the next hop; where A's Route leads is A's word.
    ///
    /// # Errors
    /// It does not.
    pub fn way_on(&self, target: &Uri, is_subscriber: bool) -> Result<Way, NoWay> {
        match self.invite.emergency {
            Some(Emergency::Call) => self.way_to_help(target),
            Some(Emergency::CallBack) | None => self.way_beyond(target, is_subscriber),
        }
    }

    fn way_beyond(&self, target: &Uri, is_subscriber: bool) -> Result<Way, NoWay> {
        let profile = &self.invite.profile;
        let admits_place = |uri: &Uri| {
            let host = bare_host(uri);
            match profile.destinations.iter().any(|to| to.admits_place(&host)) {
                true => Ok(()),
                false => Err(NoWay::NotAdmitted(host)),
            }
        };
        if let Some(first) = self.invite.route.first() {
            admits_place(first).map_err(|_| NoWay::RouteNotAdmitted(bare_host(first)))?;
            if self.is_here(first) {
                return Err(NoWay::Here);
            }
            return Ok(Way {
                route: self.invite.route.clone(),
                ..Way::default()
            });
        }
        if let Some(hops) = &profile.next_hop {
            let (number, host) = (number(target), bare_host(target));
            let e164 = number
                .as_ref()
                .and_then(|_| profile.normalise(&target.to_string()).number);
            let callee = Callee {
                number: number.as_deref(),
                e164: e164.as_deref(),
                host: &host,
            };
            if !is_subscriber && !profile.destinations.iter().any(|to| to.admits_callee(callee)) {
                return Err(NoWay::NotAdmitted(number.unwrap_or(host)));
            }
            return self.by_hops(hops.iter());
        }
        if !target.is_sip() || self.is_here(target) {
            return Err(NoWay::Nowhere);
        }
        admits_place(target)?;
        Ok(Way::default())
    }

    /// A call that does not go on: said before anybody is disturbed.
    pub fn does_not_go_on(&mut self, no: &NoWay) -> Phase {
        let to = self.invite.request_uri.to_string();
        let (status, why) = match no {
            // "… recognizes the user …, but does not currently have a valid forwarding location" (§21.4.18).
            NoWay::Nowhere => (480, format!("{to} is not here, and the profile has no next_hop")),
            NoWay::NotAdmitted(what) => (
                403,
                format!("{to} is not here, and no entry of the profile's destinations admits {what}"),
            ),
            NoWay::RouteNotAdmitted(place) => (
                403,
                format!("{to} is not here, and no entry of the profile's destinations admits its Route to {place}"),
            ),
            NoWay::Here => (482, format!("{to} is not here, and its next hop is this server again")),
        };
        self.refuse_a(status, None, None);
        Ending::begin(self, CallResult::Rejected, Some(status), why)
    }

    /// The plan for a callee who is no subscriber: called as A calls it, and nothing more.
    pub fn plain_plan(&self) -> Plan {
        Plan {
            targets: vec![segue_policy::AS_CALLED.to_owned()],
            onward: true,
            plain: true,
            ..Plan::default()
        }
    }
}

/// The host of a URI, an address without its brackets; empty when there is none.
pub(crate) fn bare_host(uri: &Uri) -> String {
    match uri.host() {
        Some(Host::V6(ip)) => ip.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    }
}

/// The number that a URI names, without visual separators (RFC 3966 §3).
pub fn number(uri: &Uri) -> Option<String> {
    let text = match uri.scheme() {
        Scheme::Tel => uri.opaque().unwrap_or_default().to_owned(),
        _ => uri.user()?.into_owned(),
    };
    let mut digits = text.split(';').next().unwrap_or_default().to_owned();
    digits.retain(|c| !"-.()".contains(c));
    let bare = digits.strip_prefix('+').unwrap_or(&digits);
    (!bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}
