//! Dialog state (RFC 3261 §12): who the two are to each other, and how requests within it are made.

#![deny(clippy::arithmetic_side_effects)]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use segue_sip_wire::{Host, Message, Method, NameAddr, Uri};

use crate::{
    api::{Peer, Protocol},
    draft::Draft,
    secure::domain_of,
};

/// The option tag of session timers.
pub(crate) const TIMER: &str = "timer";

/// One dialog, early or confirmed.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub call_id: String,
    pub remote_tag: String,
    /// From of our requests.
    local: String,
    /// To of our requests.
    remote: String,
    /// The peer's Contact.
    remote_target: Uri,
    /// First hop first.
    route_set: Vec<NameAddr>,
    /// CSeq of our last request.
    pub local_seq: u32,
    /// CSeq of the peer's last request.
    pub remote_seq: Option<u32>,
    /// How the peer was last reached or heard: what a target that is no address falls back to.
    pub peer: Peer,
    /// Our Contact.
    pub contact: String,
    /// Who was called, by name.
    domain: Option<Arc<str>>,
    /// The peer's Allow names UPDATE (RFC 3311 §4).
    pub allows_update: bool,
    /// Without a route set its requests go where the peer's come from: it is behind a NAT.
    pub follows_source: bool,
}

impl Dialog {
    /// "When a UAS responds to a request with a response that establishes a dialog" (§12.1.1). `None`: the request
    /// lacks what a dialog needs.
    pub(crate) fn uas(invite: &Message, local_tag: &str, contact: String, peer: Peer) -> Option<Self> {
        let from = invite.from().ok()?;
        Some(Self {
            call_id: invite.call_id()?.to_owned(),
            remote_tag: from.tag().unwrap_or_default().to_owned(),
            local: format!("{};tag={local_tag}", invite.header("To")?),
            remote: invite.header("From")?.to_string(),
            remote_target: invite.contact().ok()??.uri,
            // "The route set MUST be set to the list of URIs in the Record-Route header field from the request, taken
            // in order."
            route_set: invite.routes("Record-Route").ok()?,
            local_seq: 0,
            remote_seq: Some(invite.cseq().ok()?.number),
            peer,
            contact,
            domain: None,
            allows_update: invite.has_token("Allow", "UPDATE"),
            follows_source: false,
        })
    }

    /// "When a UAC … receives a response that establishes a dialog" (§12.1.2).
    pub(crate) fn uac(invite: &Message, response: &Message, peer: Peer) -> Option<Self> {
        let to = response.to().ok()?;
        let remote_target = match response.contact() {
            Ok(Some(contact)) => contact.uri,
            // A 1xx or a 2xx of a poor phone without Contact: the INVITE's target.
            _ => invite.request_uri()?.clone(),
        };
        let mut route_set = response.routes("Record-Route").ok()?;
        // "… taken in reverse order."
        route_set.reverse();
        Some(Self {
            call_id: invite.call_id()?.to_owned(),
            remote_tag: to.tag().unwrap_or_default().to_owned(),
            local: invite.header("From")?.to_string(),
            remote: response.header("To")?.to_string(),
            remote_target,
            route_set,
            local_seq: invite.cseq().ok()?.number,
            remote_seq: None,
            peer,
            contact: invite.header("Contact")?.to_string(),
            domain: domain_of(invite, peer),
            allows_update: response.has_token("Allow", "UPDATE"),
            follows_source: false,
        })
    }

    /// "Target refresh requests [and their 2xx] update the dialog's remote target URI" (§12.2).
    pub(crate) fn refresh(&mut self, message: &Message) {
        if let Ok(Some(contact)) = message.contact() {
            self.remote_target = contact.uri;
        }
        self.allows_update |= message.has_token("Allow", "UPDATE");
    }

    /// The 2xx may come by another route than the 1xx of the same fork (§13.2.2.4).
    pub(crate) fn confirm(&mut self, response: &Message) {
        self.refresh(response);
        if let Ok(mut routes) = response.routes("Record-Route") {
            routes.reverse();
            self.route_set = routes;
        }
    }

    /// A request within the dialog (§12.2.1.1), with the next CSeq.
    pub(crate) fn request(&mut self, method: Method) -> Draft {
        self.local_seq = self.local_seq.wrapping_add(1);
        self.with_cseq(method, self.local_seq)
    }

    /// The ACK of a 2xx has the sequence number of its INVITE (§13.2.2.4).
    pub(crate) fn ack(&self, cseq: u32) -> Draft {
        self.with_cseq(Method::Ack, cseq)
    }

    fn with_cseq(&self, method: Method, cseq: u32) -> Draft {
        let cseq = format!("{cseq} {method}");
        let mut routes: Vec<String> = self.route_set.iter().map(NameAddr::to_string).collect();
        let uri = match self.route_set.first() {
            // "If … its first URI does not contain the lr parameter, the UAC MUST place the first URI from the route
            // set into the Request-URI", and the remote target last into Route (§12.2.1.1).
            Some(first) if first.uri.param("lr").is_none() => {
                routes.remove(0);
                routes.push(format!("<{}>", self.remote_target));
                first.uri.without_headers()
            }
            _ => self.remote_target.without_headers(),
        };
        let mut draft = Draft::new(method, uri);
        draft.domain.clone_from(&self.domain);
        draft.any_transport = self.first_hop().param("transport").is_none() && !self.goes_back();
        draft.same_way = self.goes_back();
        for route in routes {
            draft = draft.header("Route", route);
        }
        // "A UAC that supports the session timer extension … MUST include a Supported header field in each request (except
        // ACK), listing the option tag 'timer'" (RFC 4028 §7.1).
        let supported = (draft.method != Method::Ack).then(|| TIMER.to_owned());
        draft
            .header("Max-Forwards", "70")
            .header("From", self.local.as_str())
            .header("To", self.remote.as_str())
            .header("Call-ID", self.call_id.as_str())
            .header("CSeq", cseq)
            .maybe("Supported", supported)
    }

    /// Where its requests go.
    pub(crate) fn next_hop(&self) -> Peer {
        match self.goes_back() {
            true => self.peer,
            false => next_hop(self.first_hop(), self.peer),
        }
    }

    fn goes_back(&self) -> bool {
        self.follows_source && self.route_set.is_empty()
    }

    fn first_hop(&self) -> &Uri {
        self.route_set.first().map_or(&self.remote_target, |first| &first.uri)
    }

    /// "If … the sequence number of the request is lower than the remote sequence number, the request is out of order
    /// and MUST be rejected with a 500" (§12.2.2). Also refuses equal numbers: retransmissions never get here.
    pub(crate) fn is_next(&mut self, cseq: u32) -> bool {
        if self.remote_seq.is_some_and(|last| cseq <= last) {
            return false;
        }
        self.remote_seq = Some(cseq);
        true
    }
}

/// Address and transport of a URI, as far as that needs no DNS; otherwise how the peer was reached last.
pub(crate) fn next_hop(uri: &Uri, last: Peer) -> Peer {
    let Some(remote) = address(uri) else { return last };
    let protocol = match uri.param("transport") {
        _ if uri.is_sips() => Protocol::Tls,
        Some(name) if name.eq_ignore_ascii_case("tls") => Protocol::Tls,
        Some(name) if name.eq_ignore_ascii_case("tcp") => Protocol::Tcp,
        Some(_) => Protocol::Udp,
        None if remote.ip() == last.remote.ip() => last.protocol,
        None => Protocol::Udp,
    };
    // A connection to the same host is used again: many peers name a port in Contact that they don't listen on by TCP.
    let flow = last
        .flow
        .filter(|_| protocol.is_stream() && protocol == last.protocol && remote.ip() == last.remote.ip());
    Peer {
        protocol,
        local: last.local,
        remote,
        flow,
    }
}

/// The address of a URI whose host is one, or localhost.
pub(crate) fn address(uri: &Uri) -> Option<SocketAddr> {
    let ip = match uri.host()? {
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host.ip()?,
    };
    let default = if uri.wants_tls() { Protocol::Tls } else { Protocol::Udp };
    Some(SocketAddr::new(ip, uri.port().unwrap_or(default.default_port())))
}
