//! `[http]`: the pages, the API, and what machines ask.

use ipnet::IpNet;
use segue_web::PublicUrl;
use serde_json::json;

use super::keys::Key;
use crate::cli::value::DurationMs;

/// Most proxies.
const PROXIES_MAX: usize = 50;
const HOUR_MS: u64 = 3_600_000;
const MEGABYTE: u64 = 1_000_000;

/// Those of its keys that are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// By which address people reach the pages; `None`: on this machine alone.
    pub public: Option<PublicUrl>,
    /// Proxies whose X-Forwarded-For is believed.
    pub proxies: Vec<IpNet>,
    /// How long a session lasts that is not used, milliseconds.
    pub session_idle_ms: u64,
    /// How long a session lasts at most, milliseconds.
    pub session_max_ms: u64,
    /// Longest clip that is uploaded, bytes.
    pub upload_max: u64,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            public: None,
            proxies: Vec::new(),
            session_idle_ms: 12 * HOUR_MS,
            session_max_ms: 30 * 24 * HOUR_MS,
            upload_max: 200 * MEGABYTE,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "http.listen",
        meaning: "the HTTP socket (pages, API, /health, /ready, /metrics, /events); port 0 takes a free one",
        live: None,
        set: |c, raw| raw.socket().map(|v| c.http_listen = v),
        get: |c| json!(c.http_listen.to_string()),
    },
    Key {
        name: "http.events",
        meaning: "who may follow /events, which tell who calls whom: loopback (only while http.listen is loopback) or anyone",
        live: None,
        set: |c, raw| {
            c.http_events_anyone = match raw.text()? {
                "loopback" => false,
                "anyone" => true,
                _ => return Err("loopback or anyone is needed".to_owned()),
            };
            Ok(())
        },
        get: |c| json!(if c.http_events_anyone { "anyone" } else { "loopback" }),
    },
    Key {
        name: "http.public",
        meaning: "the address by which people reach pages and API, e.g. \"https://voice.example.com\"; absent: on this machine alone",
        live: None,
        set: |c, raw| raw.text()?.parse().map(|v| c.http.public = Some(v)),
        get: |c| json!(c.http.public.as_ref().map(ToString::to_string)),
    },
    Key {
        name: "http.proxies",
        meaning: "the list of proxies, by address or network, whose X-Forwarded-For says who comes",
        live: None,
        set: |c, raw| {
            let net = |text: &str| {
                let address = || text.parse().map(|ip: std::net::IpAddr| IpNet::from(ip));
                let wrong = || format!("{text} is no address and no network, e.g. \"10.0.0.0/24\"");
                text.parse().or_else(|_| address()).map_err(|_| wrong())
            };
            raw.each(PROXIES_MAX, |one| net(one.text()?))
                .map(|v| c.http.proxies = v)
        },
        get: |c| json!(c.http.proxies.iter().map(ToString::to_string).collect::<Vec<_>>()),
    },
    Key {
        name: "http.session_idle",
        meaning: "how long somebody stays logged in who does nothing, e.g. \"12h\"",
        live: None,
        set: |c, raw| lasting(raw).map(|v| c.http.session_idle_ms = v),
        get: |c| json!(c.http.session_idle_ms),
    },
    Key {
        name: "http.session_max",
        meaning: "how long somebody stays logged in at most, e.g. \"30d\"",
        live: None,
        set: |c, raw| lasting(raw).map(|v| c.http.session_max_ms = v),
        get: |c| json!(c.http.session_max_ms),
    },
    Key {
        name: "http.upload_max",
        meaning: "longest file that may be uploaded as a clip, megabytes",
        live: None,
        set: |c, raw| {
            raw.number(1..=10_000)
                .map(|v| c.http.upload_max = v.saturating_mul(MEGABYTE))
        },
        get: |c| json!(c.http.upload_max / MEGABYTE),
    },
];

/// A minute to a year.
fn lasting(raw: &super::value::Raw) -> Result<u64, String> {
    match raw.shown().parse()? {
        DurationMs(ms @ 60_000..=31_536_000_000) => Ok(ms),
        DurationMs(_) => Err("a minute to a year is needed, e.g. \"12h\"".to_owned()),
    }
}
