//! What signals ask of the running server: to read its configuration again, to drain, to stop.

use std::time::Duration;

use segue_b2bua::Order;
use segue_jobs::{KeptCalls, RecordPlan, notices::NoticeSettings};
use segue_records::Happening;
use segue_sip::transport::TlsRenewal;
use segue_store::Store;
use tokio::sync::mpsc;

use crate::{
    config::{Config, KEYS},
    failure::Failure,
    in_force::{Asked, InForce},
    logging::Log,
    reload::{Given, Reloaded, reload},
    run::tell,
    signals::{Signals, Wish},
    watch::Watcher,
};

/// What is kept, and where, and how it is told.
pub struct Kept {
    pub store: Store,
    pub in_force: InForce,
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

/// Makes orders of signals and of what pages and API ask, as long as the shard takes them.
pub async fn obey(
    (mut signals, mut asked): (Signals, Asked),
    orders: mpsc::Sender<Order>,
    (mut config, given): (Config, Given),
    log: Log,
    (watcher, renewal): (Watcher, Option<TlsRenewal>),
    kept: Kept,
) {
    let mut draining = false;
    loop {
        let (wish, answer) = tokio::select! {
            wish = signals.next() => (wish, None),
            Some(answer) = asked.recv() => (Wish::Reload, Some(answer)),
        };
        let order = match wish {
            Wish::Reload => {
                let (given, running) = (given.clone(), config.clone());
                // Files may be slow, and this thread carries the calls.
                let read = tokio::task::spawn_blocking(move || reload(&given, &running)).await;
                let Ok(read) = read else { continue };
                let (order, became) = match read {
                    Err(failure) => {
                        tracing::error!("{failure}; what was read before goes on");
                        watcher.server(Happening::ServerReloaded {
                            taken: false,
                            detail: failure.to_string(),
                        });
                        (None, refused(&failure))
                    }
                    Ok(mut reloaded) => {
                        if let (Some(renewal), Some(tls)) = (&renewal, reloaded.tls.take()) {
                            renewal.renew(tls);
                        }
                        kept.notices.set(std::mem::take(&mut reloaded.notices));
                        let (order, became) = tell_reloaded(reloaded, &mut config, &kept.in_force);
                        log.change(&config);
                        kept.change(&config);
                        watcher.server(Happening::ServerReloaded {
                            taken: true,
                            detail: "configuration and profiles were read again".to_owned(),
                        });
                        (Some(order), became)
                    }
                };
                if let Some(order) = order
                    && orders.send(order).await.is_err()
                {
                    return;
                }
                if let Some(answer) = answer {
                    // Who does not wait for it any more finds it in the log.
                    let _ = answer.send(became);
                }
                continue;
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

/// What who asked is told of what could not be read.
fn refused(failure: &Failure) -> segue_web::Reloaded {
    segue_web::Reloaded {
        taken: false,
        refused: Some(failure.to_string()),
        changed: Vec::new(),
        waiting: Vec::new(),
        warnings: Vec::new(),
    }
}

fn tell_reloaded(reloaded: Reloaded, config: &mut Config, in_force: &InForce) -> (Order, segue_web::Reloaded) {
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
    for key in &waiting {
        tracing::warn!("{key} has changed: that holds after a restart");
    }
    let names: Vec<&str> = profiles.iter().map(|file| file.profile.name.as_str()).collect();
    tracing::info!(
        profiles = names.join(", "),
        "configuration and profiles were read again"
    );
    // Values are not said: what a key names may be a secret.
    let changed = KEYS.iter().filter(|key| (key.get)(&new) != (key.get)(config));
    let changed = changed.map(|key| format!("{} of the configuration", key.name));
    let became = segue_web::Reloaded {
        taken: true,
        refused: None,
        changed: changed.chain(in_force.take(profiles, new.clone())).collect(),
        waiting: waiting.into_iter().map(str::to_owned).collect(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
    };
    *config = new;
    (order, became)
}
