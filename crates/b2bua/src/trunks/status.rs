//! What `segue trunk list`, the metrics and `/trunks` tell of trunks.

use std::time::Duration;

use segue_call::Now;
use segue_records::UnixMs;
use segue_sip::{Condition, Seen};

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
            }
        });
        trunks.collect()
    }
}
