//! What `segue trunk list`, the metrics and `/trunks` tell of trunks.

use std::time::Duration;

use segue_call::Now;
use segue_records::UnixMs;
use segue_sip::{Condition, Seen, Standing};

use super::Trunks;

/// A trunk as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// Calls that are out by it now.
    pub calls: u32,
    /// As many as may be; 0: any number.
    pub calls_max: u32,
    /// Calls that have gone out by it since the start.
    pub carried: u64,
    /// Calls that found it full.
    pub full: u64,
    /// How often its servers are pinged, milliseconds; 0: never.
    pub ping_ms: u64,
    /// Its servers, one entry an address.
    pub servers: Vec<ServerStatus>,
    /// Our registration with it, where it registers.
    pub registration: Option<LineStatus>,
}

/// Our registration with a trunk as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStatus {
    /// Registered, failing and the like.
    pub standing: Standing,
    /// Since when.
    pub since: UnixMs,
    /// Our address there.
    pub identity: String,
    /// Where the provider knows us.
    pub contact: Option<String>,
    /// The server that was asked last.
    pub server: Option<String>,
    /// Until when it knows us.
    pub until: Option<UnixMs>,
    /// When it is asked next.
    pub next_at: Option<UnixMs>,
    /// What it said last.
    pub last: Option<String>,
    /// When.
    pub last_at: Option<UnixMs>,
    /// Other addresses of ours there, as it says (P-Associated-URI).
    pub associated: Vec<String>,
    /// REGISTER requests sent.
    pub sent: u64,
    /// Of these without a 2xx.
    pub failed: u64,
}

/// A server of a trunk as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// As it is configured.
    pub uri: String,
    /// Its address and transport, e.g. `192.0.2.1:5060/UDP`; `None`: no address is known of it.
    pub address: Option<String>,
    /// Up, down and the like.
    pub condition: Condition,
    /// Since when.
    pub since: Option<UnixMs>,
    /// What the last ping came to: a status, `no answer`, `unreachable`.
    pub last: Option<String>,
    /// When.
    pub last_at: Option<UnixMs>,
    /// How long its last answer took.
    pub rtt: Option<Duration>,
    /// Pings sent.
    pub pings: u64,
    /// Of these without a good answer.
    pub failures: u64,
}

impl Trunks {
    /// All trunks, by name.
    pub(crate) fn status(&self, now: Now) -> Vec<TrunkStatus> {
        let wall = |at: std::time::Instant| {
            let ago = now.mono.saturating_duration_since(at).as_millis();
            UnixMs(now.wall.0.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)))
        };
        let ahead = |at: std::time::Instant| {
            let left = at.saturating_duration_since(now.mono).as_millis();
            UnixMs(now.wall.0.saturating_add(i64::try_from(left).unwrap_or(i64::MAX)))
        };
        let trunks = self.all.iter().map(|(name, running)| {
            let mut servers = Vec::new();
            for server in &running.servers {
                let uri = server.uri.to_string();
                if server.nodes.is_empty() {
                    servers.push(ServerStatus {
                        uri: uri.clone(),
                        address: None,
                        condition: Condition::Unchecked,
                        since: None,
                        last: None,
                        last_at: None,
                        rtt: None,
                        pings: 0,
                        failures: 0,
                    });
                }
                for (at, node) in &server.nodes {
                    let last = node.probe.last();
                    servers.push(ServerStatus {
                        uri: uri.clone(),
                        address: Some(format!("{}/{}", at.remote, at.protocol.as_str())),
                        condition: node.probe.condition(),
                        since: Some(wall(node.probe.since())),
                        last: last.map(|last| match last.seen {
                            Seen::Status(status, _) => status.to_string(),
                            Seen::Silence => "no answer".to_owned(),
                            Seen::Unreachable => "unreachable".to_owned(),
                        }),
                        last_at: last.map(|last| wall(last.at)),
                        rtt: last.and_then(|last| match last.seen {
                            Seen::Status(_, rtt) => Some(rtt),
                            Seen::Silence | Seen::Unreachable => None,
                        }),
                        pings: node.pings,
                        failures: node.failures,
                    });
                }
            }
            TrunkStatus {
                name: name.to_string(),
                calls: running.calls,
                calls_max: running.setup.trunk.calls_max,
                carried: running.carried,
                full: running.full,
                ping_ms: running.setup.trunk.ping_ms,
                servers,
                registration: running.line.as_ref().map(|line| LineStatus {
                    standing: line.enrolment.standing(),
                    since: wall(line.enrolment.since()),
                    identity: line.identity().to_string(),
                    contact: line.contact().map(ToString::to_string),
                    server: line
                        .server()
                        .map(|at| format!("{}/{}", at.remote, at.protocol.as_str())),
                    until: line.enrolment.until().map(ahead),
                    next_at: line.enrolment.next().map(ahead),
                    last: line.last.as_ref().map(|(said, _)| said.clone()),
                    last_at: line.last.as_ref().map(|(_, at)| wall(*at)),
                    associated: line.associated().to_vec(),
                    sent: line.sent,
                    failed: line.failed,
                }),
            }
        });
        trunks.collect()
    }
}
