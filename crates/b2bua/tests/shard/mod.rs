//! What tests of a whole node share: its settings, and who speaks to it.

use std::sync::Arc;

use segue_b2bua::{Admission, Limits, ShardConfig};
use segue_call::CallConfig;
use segue_sip::{EndpointConfig, Local, Peer, Protocol};

/// A node with these UDP sockets that admits so; all else is usual.
pub fn config(sockets: &[&str], admission: Admission) -> ShardConfig {
    let socket = |address: &&str| Local {
        protocol: Protocol::Udp,
        bind: address.parse().unwrap(),
        advertise: (*address).to_owned(),
    };
    ShardConfig {
        endpoint: EndpointConfig {
            sockets: sockets.iter().map(socket).collect(),
            ..EndpointConfig::default()
        },
        call: Arc::new(CallConfig {
            record_min_ms: 1_000,
            record_max_ms: 60_000,
            record_silence_ms: 4_000,
            early_max_ms: 170_000,
        }),
        admission,
        limits: Limits::default(),
        seed: 1,
        secret: Some(segue_call::KeySecret([7; 32])),
    }
}

/// Who speaks from `remote` to the socket `local`.
pub fn peer(local: &str, remote: &str) -> Peer {
    Peer {
        protocol: Protocol::Udp,
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        flow: None,
    }
}
