//! Whether keys of SRTP go where everybody reads them: they stand in the SDP (RFC 4568 §8.3), which TLS alone hides.

use std::net::SocketAddr;

use segue_policy::{Srtp, SrtpTo};

use super::Warning;
use crate::config::{Config, ProfileFile};

/// Profiles that ask for SRTP where SIP goes in clear. Where either is allowed, the phone has chosen.
pub(super) fn check(config: &Config, profiles: &[ProfileFile]) -> Vec<Warning> {
    profiles.iter().flat_map(|file| of(config, file)).collect()
}

fn of(config: &Config, file: &ProfileFile) -> Vec<Warning> {
    let profile = &file.profile;
    let mut warnings = Vec::new();
    let serves = |socket: &SocketAddr| {
        let is_named = |listen: &String| listen.parse() == Ok(*socket);
        profile.listen.is_empty() || profile.listen.iter().any(is_named)
    };
    // What stays on this machine is read by nobody else.
    let mut in_clear = config.sip_udp.iter().chain(&config.sip_tcp);
    let open = in_clear.find(|socket| !socket.ip().is_loopback() && serves(socket));
    if let Some(socket) = open.filter(|_| profile.srtp == Srtp::Require) {
        let tls: Vec<String> = config.sip_tls.iter().map(|socket| format!("\"{socket}\"")).collect();
        let fix = match tls.is_empty() {
            true => "set sip.tls and its certificate, and let this profile listen there alone (docs/tls.md)".to_owned(),
            false => format!("let this profile listen by TLS alone: listen = [{}]", tls.join(", ")),
        };
        let message = format!(
            "{}: srtp = \"require\": the keys stand in SIP that goes in clear by {socket}: who reads that hears the calls",
            file.at("srtp")
        );
        warnings.push(Warning::new(message, fix));
    }
    let is_offered = matches!(profile.srtp_to, SrtpTo::Offer | SrtpTo::Require);
    let goes_out = config
        .sip_udp
        .iter()
        .chain(&config.sip_tcp)
        .any(|socket| !socket.ip().is_loopback());
    if is_offered && goes_out && config.sip_tls.is_empty() {
        let message = format!(
            "{}: srtp_to: keys are offered in SIP that goes in clear, as sip.tls has no socket: who reads that hears the calls",
            file.at("srtp_to")
        );
        let fix = "set sip.tls and its certificate, and call by TLS: \";transport=tls\" in targets, phones that register by it (docs/tls.md)";
        warnings.push(Warning::new(message, fix));
    }
    warnings
}
