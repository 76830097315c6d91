//! How busy the server is, for whoever looks at a busy hour (docs/overload.md).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use segue_b2bua::Gauges;
use segue_jobs::Transcoders;
use segue_media::Media;
use segue_records::UnixMs;
use segue_web::{LoadHistory, LoadView, Refused, SAMPLE_EVERY, Used};
use tokio::time::MissedTickBehavior;

use crate::{cli::now_ms, in_force::InForce};

/// Shorter than this says little.
const MEASURED: Duration = Duration::from_secs(1);

/// What is asked.
pub struct Load {
    pub gauges: Arc<Gauges>,
    pub media: Arc<Media>,
    pub transcoders: Transcoders,
    /// What transcoding may take of all cores, percent (`media.transcode_cpu`).
    pub transcode_cpu: u32,
    pub in_force: InForce,
    pub cpu: Cpu,
}

impl Load {
    /// As it is.
    pub fn view(&self) -> LoadView {
        let (stats, limits) = (self.gauges.stats(), self.in_force.limits());
        let (media, transcoding) = (self.media.stats(), self.transcoders.stats());
        let used = |now: u64, max: Option<u32>| Used {
            now,
            max: max.map(u64::from),
        };
        LoadView {
            calls: used(self.gauges.calls(), limits.caps.calls),
            early: used(stats.early, limits.caps.early),
            transcoding: Used {
                now: transcoding.taken,
                max: Some(transcoding.max),
            },
            transcoding_cpu_percent: used(transcoding.cpu_percent, Some(self.transcode_cpu)),
            cpu_percent: self.cpu.percent(),
            cpu_ms: u64::try_from(taken().as_millis()).unwrap_or(u64::MAX),
            cores: self.cpu.cores,
            attempts: self.gauges.attempts(),
            media_sessions: media.sessions,
            media_ports: media.ports,
            inbox: self.gauges.inbox_depth(),
            admitted_per_s: stats.rate,
            delay_ms: limits
                .delay
                .map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
            refused: self.refused(),
        }
    }

    fn refused(&self) -> Vec<Refused> {
        let stats = self.gauges.stats();
        let away = stats.turned_away;
        let all: [(&str, &str, Option<&str>, u64); 9] = [
            ("load", "messages waited too long", Some("overload.delay_ms"), away.load),
            (
                "calls",
                "there were as many calls as there may be",
                Some("overload.calls_max"),
                away.calls,
            ),
            (
                "early",
                "so many callers waited for an answer",
                Some("overload.early_max"),
                away.early,
            ),
            (
                "source",
                "their source had too many, or called too often",
                Some("overload.source_rate, source_calls_max, source_early_max"),
                away.source,
            ),
            (
                "account",
                "their profile or subscriber had too many",
                Some("calls_max of the profile, overload.subscriber_calls_max"),
                away.account,
            ),
            (
                "transcoding",
                "there was no room to transcode",
                Some("media.transcode_max, media.transcode_cpu"),
                self.transcoders.stats().refused,
            ),
            ("paused", "every server had asked for a pause", None, stats.paused_calls),
            (
                "unknown_source",
                "no profile knows their source: no answer",
                Some("sources of a profile"),
                stats.unknown_source,
            ),
            ("unreadable", "they could not be read", None, stats.unparsable),
        ];
        let refused = |(reason, words, setting, count): (&str, &str, Option<&str>, u64)| Refused {
            reason: reason.to_owned(),
            words: words.to_owned(),
            setting: setting.map(str::to_owned),
            count,
        };
        all.into_iter().map(refused).collect()
    }
}

/// Keeps the history of the load, until it is dropped.
pub async fn keep_history(load: Arc<dyn Fn() -> LoadView + Send + Sync>, history: LoadHistory) {
    let mut due = tokio::time::interval(SAMPLE_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let (load, history) = (Arc::clone(&load), history.clone());
        // What is asked may wait: not here, where pages are served. One that panicked leaves a gap.
        let _ = tokio::task::spawn_blocking(move || history.note(UnixMs(now_ms()), Instant::now(), &load())).await;
    }
}

/// What this process takes of the cores, between one question and the next.
pub struct Cpu {
    cores: u64,
    last: Mutex<Measured>,
}

struct Measured {
    at: Instant,
    taken: Duration,
    percent: u64,
}

impl Cpu {
    /// From now on.
    pub fn new() -> Cpu {
        Cpu {
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            last: Mutex::new(Measured {
                at: Instant::now(),
                taken: taken(),
                percent: 0,
            }),
        }
    }

    fn percent(&self) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = last.at.elapsed();
        if passed >= MEASURED {
            let taken = taken();
            let percent = percent(taken.saturating_sub(last.taken), passed, self.cores);
            *last = Measured {
                at: Instant::now(),
                taken,
                percent,
            };
        }
        last.percent
    }
}

/// Processor time of all threads of this process.
fn taken() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let s = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(s, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn percent(taken: Duration, passed: Duration, cores: u64) -> u64 {
    let there = passed.as_micros().saturating_mul(cores.into()).max(1);
    let percent = taken.as_micros().saturating_mul(100).div_euclid(there);
    u64::try_from(percent).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_told_as_percent_of_all_cores() {
        let s = Duration::from_secs;
        assert_eq!(percent(s(1), s(2), 1), 50);
        assert_eq!(percent(s(1), s(2), 2), 25);
        assert_eq!(percent(s(4), s(2), 2), 100);
        assert_eq!(percent(s(1), s(0), 2), 100_000_000, "nothing is divided by");
        let before = taken();
        let until = Instant::now() + Duration::from_millis(20);
        while Instant::now() < until {}
        assert!(taken() > before, "the clock of this process goes on");
    }
}
