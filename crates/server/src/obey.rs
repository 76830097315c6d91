//! What signals ask of the running server: to read its configuration again, to drain, to stop.

use std::time::Duration;

use segue_b2bua::Order;
use segue_jobs::{KeptCalls, RecordPlan, notices::NoticeSettings};
use segue_records::Happening;
use segue_sip::transport::TlsRenewal;
use segue_store::Store;
use tokio::sync::mpsc;

use crate::{
    config::Config,
    logging::Log,
    reload::{Given, Reloaded, reload},
    run::tell,
    signals::{Signals, Wish},
    watch::Watcher,
};

/// What is kept, and where, and how it is told.
pub struct Kept {
    pub store: Store,
    pub record_files: RecordPlan,
    pub calls: KeptCalls,
    pub notices: NoticeSettings,
}

impl Kept {
    /// As this configuration has it.
    fn change(&self, config: &Config) {
        config.apply_to(&self.store);
        self.record_files.set(config.records.files());
        self.calls.set(config.records.kept());
    }
}

/// Makes orders of signals, as long as the shard takes them.
pub async fn obey(
    mut signals: Signals,
    orders: mpsc::Sender<Order>,
    (mut config, given): (Config, Given),
    log: Log,
    (watcher, renewal): (Watcher, Option<TlsRenewal>),
    kept: Kept,
) {
    let mut draining = false;
    loop {
        let order = match signals.next().await {
            Wish::Reload => {
                let (given, running) = (given.clone(), config.clone());
                // Files may be slow, and this thread carries the calls.
                let read = tokio::task::spawn_blocking(move || reload(&given, &running)).await;
                let Ok(read) = read else { continue };
                match read {
                    Err(failure) => {
                        tracing::error!("{failure}; what was read before goes on");
                        watcher.server(Happening::ServerReloaded {
                            taken: false,
                            detail: failure.to_string(),
                        });
                        continue;
                    }
                    Ok(mut reloaded) => {
                        if let (Some(renewal), Some(tls)) = (&renewal, reloaded.tls.take()) {
                            renewal.renew(tls);
                        }
                        kept.notices.set(std::mem::take(&mut reloaded.notices));
                        let order = tell_reloaded(reloaded, &mut config);
                        log.change(&config);
                        kept.change(&config);
                        watcher.server(Happening::ServerReloaded {
                            taken: true,
                            detail: "configuration and profiles were read again".to_owned(),
                        });
                        order
                    }
                }
            }
            Wish::Drain if !draining && config.drain_ms > 0 => {
                draining = true;
                tracing::info!(
                    longest_ms = config.drain_ms,
                    "no new calls; stopping when the last one has ended (once more, or SIGINT: at once)"
                );
                watcher.server(Happening::ServerStopping);
                Order::Drain(Duration::from_millis(config.drain_ms))
            }
            Wish::Drain | Wish::Stop => {
                tracing::info!("stopping: calls are ended in order");
                if !draining {
                    watcher.server(Happening::ServerStopping);
                }
                Order::Stop
            }
        };
        if orders.send(order).await.is_err() {
            return;
        }
    }
}

fn tell_reloaded(reloaded: Reloaded, config: &mut Config) -> Order {
    let Reloaded {
        config: new,
        profiles,
        waiting,
        warnings,
        order,
        tls: _,
        notices: _,
    } = reloaded;
    tell(&warnings);
    for key in waiting {
        tracing::warn!("{key} has changed: that holds after a restart");
    }
    tracing::info!(
        profiles = profiles.join(", "),
        "configuration and profiles were read again"
    );
    *config = new;
    order
}
