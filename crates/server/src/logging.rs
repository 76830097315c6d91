//! The log on standard error, and how much of it.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt,
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

use crate::config::Config;

/// Changes how much is logged while the server runs.
pub struct Log {
    filter: Handle<EnvFilter, Registry>,
}

impl Log {
    /// Begins to log as the configuration says.
    pub fn start(config: &Config) -> Log {
        let (filter, handle) = reload::Layer::new(filter(config));
        let lines = fmt::layer().with_writer(io::stderr).with_target(false);
        let lines = if config.log_json {
            lines.json().boxed()
        } else {
            lines.with_ansi(io::stderr().is_terminal()).boxed()
        };
        if let Err(error) = tracing_subscriber::registry().with(filter).with(lines).try_init() {
            eprintln!("segue: no log: {error}");
        }
        Log { filter: handle }
    }

    /// Logs as much as `config` says from now on.
    pub fn change(&self, config: &Config) {
        if let Err(error) = self.filter.reload(filter(config)) {
            tracing::error!(%error, "the log goes on as it was");
        }
    }
}

/// The configuration has been read, so its filter reads well.
fn filter(config: &Config) -> EnvFilter {
    EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"))
}
