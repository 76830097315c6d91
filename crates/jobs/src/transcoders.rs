//! Processes that transcode the sound and the pictures of calls under way, one for each kind and call, within a budget: their number, in
//! which one for pictures counts as several, and what they take of the machine as measured.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use segue_media::{Kind, transcode::TranscodeLink};

use crate::pool::WorkerCommand;

/// Shorter than that measures nothing.
const MEASURE_MIN: Duration = Duration::from_secs(2);
/// Clock ticks a second of /proc (`USER_HZ`), on every Linux that there is.
const TICKS_A_SECOND: u64 = 100;
/// A process for pictures counts as so many for sound: that is about what it takes more (docs/codecs.md).
pub const PICTURES_COUNT: u32 = 8;

/// What the processes may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many there may be at a time, counted as those for sound; one for pictures counts as [`PICTURES_COUNT`].
    pub max: u32,
    /// How much of all cores they may take before no more is started, percent.
    pub cpu_percent: u32,
}

/// Why none is to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTranscoder {
    /// As many as there may be.
    #[error("no transcoding capacity: {max} calls are transcoded, as many as may be")]
    Full {
        /// How many.
        max: u32,
    },
    /// There is no room for one that makes pictures.
    #[error("no transcoding capacity: of {max} places {taken} are taken, and pictures take {PICTURES_COUNT}")]
    FullForPictures {
        /// As many as there are.
        max: u32,
        /// As many as others have.
        taken: u32,
    },
    /// They take more of the machine than they may.
    #[error("no transcoding capacity: transcoding takes {percent} % of the machine, and may take {most} %")]
    Busy {
        /// How much.
        percent: u32,
        /// How much they may.
        most: u32,
    },
    /// The system does not start one.
    #[error("the transcoding process cannot be started: {0}")]
    Start(String),
}

/// Processes that transcode. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transcoders {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    command: WorkerCommand,
    cores: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    budget: Budget,
    live: BTreeMap<u64, Live>,
    last: u64,
    stats: TranscodeStats,
    /// When was measured, what each process had taken by then, and the share since the time before, percent of all cores.
    measured: Option<(Instant, BTreeMap<u64, u64>)>,
    percent: u32,
}

/// One of them.
#[derive(Debug)]
struct Live {
    child: Child,
    /// As how many it counts.
    counts: u32,
}

/// What has been done, and what is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TranscodeStats {
    /// Processes now.
    pub running: u64,
    /// Of the places those that they take.
    pub taken: u64,
    /// Places that there are: processes for sound.
    pub max: u64,
    /// Started since the beginning.
    pub started: u64,
    /// Not started for want of room.
    pub refused: u64,
    /// What those of now take of all cores, percent.
    pub cpu_percent: u64,
}

/// One process; it ends with this.
#[derive(Debug)]
pub struct Transcoder {
    shared: Arc<Shared>,
    id: u64,
    link: Arc<TranscodeLink>,
}

impl Transcoder {
    /// The way to it.
    pub fn link(&self) -> Arc<TranscodeLink> {
        Arc::clone(&self.link)
    }
}

impl Drop for Transcoder {
    fn drop(&mut self) {
        let child = self.shared.state().live.remove(&self.id);
        if let Some(Live { mut child, .. }) = child {
            let _ = child.kill();
            // Dead at once, though not for whoever may not wait.
            let wait = std::thread::Builder::new().name("transcoder-end".to_owned());
            if let Err(error) = wait.spawn(move || child.wait()) {
                tracing::warn!(%error, "a transcoding process that has ended is not waited for");
            }
        }
    }
}

impl Transcoders {
    /// None yet.
    pub fn new(command: WorkerCommand, budget: Budget) -> Transcoders {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let state = State {
            budget,
            live: BTreeMap::new(),
            last: 0,
            stats: TranscodeStats::default(),
            measured: None,
            percent: 0,
        };
        Transcoders {
            shared: Arc::new(Shared {
                command,
                cores: u32::try_from(cores).unwrap_or(u32::MAX).max(1),
                state: Mutex::new(state),
            }),
        }
    }

    /// Another budget, for those that are started from now on.
    pub fn set(&self, budget: Budget) {
        self.shared.state().budget = budget;
    }

    /// Starts one.
    ///
    /// # Errors
    /// [`NoTranscoder`].
    pub fn take(&self, kind: Kind) -> Result<Transcoder, NoTranscoder> {
        let mut state = self.shared.state();
        let Budget { max, cpu_percent } = state.budget;
        state.measure(Instant::now(), self.shared.cores);
        let counts = match kind {
            Kind::Audio => 1,
            Kind::Video => PICTURES_COUNT,
        };
        let taken = state.taken();
        let refused = if taken.saturating_add(counts) > max {
            Some(match kind {
                Kind::Audio => NoTranscoder::Full { max },
                Kind::Video => NoTranscoder::FullForPictures { max, taken },
            })
        } else {
            let percent = state.percent;
            (percent >= cpu_percent).then_some(NoTranscoder::Busy {
                percent,
                most: cpu_percent,
            })
        };
        if let Some(refused) = refused {
            state.stats.refused = state.stats.refused.saturating_add(1);
            return Err(refused);
        }
        let (link, child) = start(&self.shared.command).map_err(|error| NoTranscoder::Start(error.to_string()))?;
        state.last = state.last.wrapping_add(1);
        let id = state.last;
        state.live.insert(id, Live { child, counts });
        state.stats.started = state.stats.started.saturating_add(1);
        drop(state);
        Ok(Transcoder {
            shared: Arc::clone(&self.shared),
            id,
            link: Arc::new(link),
        })
    }

    /// What has been done, and what is.
    pub fn stats(&self) -> TranscodeStats {
        let mut state = self.shared.state();
        state.measure(Instant::now(), self.shared.cores);
        TranscodeStats {
            running: state.live.len() as u64,
            taken: state.taken().into(),
            max: state.budget.max.into(),
            cpu_percent: state.percent.into(),
            ..state.stats
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many places of the budget are taken.
    fn taken(&self) -> u32 {
        self.live.values().fold(0, |sum, live| sum.saturating_add(live.counts))
    }

    /// What the processes have taken since it was measured last.
    fn measure(&mut self, now: Instant, cores: u32) {
        let since = self.measured.as_ref().map(|(at, _)| now.saturating_duration_since(*at));
        if since.is_some_and(|since| since < MEASURE_MIN) {
            return;
        }
        let taken: BTreeMap<u64, u64> = self
            .live
            .iter()
            .filter_map(|(id, live)| Some((*id, cpu_ticks(live.child.id())?)))
            .collect();
        if let (Some((_, before)), Some(since)) = (&self.measured, since) {
            let spent = taken.iter().map(|(id, ticks)| {
                let before = before.get(id).copied().unwrap_or(0);
                ticks.saturating_sub(before)
            });
            let spent_ms = spent.sum::<u64>().saturating_mul(1_000 / TICKS_A_SECOND);
            let whole_ms = u64::try_from(since.as_millis())
                .unwrap_or(u64::MAX)
                .saturating_mul(cores.into());
            let percent = spent_ms.saturating_mul(100).checked_div(whole_ms).unwrap_or(0);
            self.percent = u32::try_from(percent).unwrap_or(u32::MAX);
        }
        self.measured = Some((now, taken));
    }
}

/// The process, with its socket as standard input. It has a process group of its own, as other workers have.
fn start(command: &WorkerCommand) -> std::io::Result<(TranscodeLink, Child)> {
    use std::os::unix::process::CommandExt;
    let (link, theirs) = TranscodeLink::pair()?;
    let child = Command::new(&command.program)
        .args(&command.args)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok((link, child))
}

/// CPU time of a process, user and system (proc(5): fields 14 and 15 of stat).
fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcoders(program: &str, args: &[&str], budget: Budget) -> Transcoders {
        let command = WorkerCommand {
            program: program.into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        };
        Transcoders::new(command, budget)
    }

    #[test]
    fn there_are_as_many_as_may_be_and_one_that_ends_makes_room() {
        let all = transcoders(
            "sleep",
            &["60"],
            Budget {
                max: 2,
                cpu_percent: 100,
            },
        );
        let (one, two) = (all.take(Kind::Audio).unwrap(), all.take(Kind::Audio).unwrap());
        assert_eq!(all.take(Kind::Audio).unwrap_err(), NoTranscoder::Full { max: 2 });
        assert_eq!((all.stats().running, all.stats().refused, all.stats().max), (2, 1, 2));
        let pid = all.shared.state().live[&one.id].child.id();
        assert!(cpu_ticks(pid).is_some());
        drop(one);
        let three = all.take(Kind::Audio).unwrap();
        all.set(Budget {
            max: 0,
            cpu_percent: 100,
        });
        drop((two, three));
        assert_eq!(all.take(Kind::Audio).unwrap_err(), NoTranscoder::Full { max: 0 });
        let until = Instant::now() + Duration::from_secs(10);
        while cpu_ticks(pid).is_some() {
            assert!(Instant::now() < until, "the process goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn one_for_pictures_counts_as_several() {
        let budget = Budget {
            max: PICTURES_COUNT + 1,
            cpu_percent: 100,
        };
        let all = transcoders("sleep", &["60"], budget);
        let (pictures, _sound) = (all.take(Kind::Video).unwrap(), all.take(Kind::Audio).unwrap());
        assert_eq!((all.stats().running, all.stats().taken), (2, u64::from(budget.max)));
        let full = all.take(Kind::Audio).unwrap_err();
        assert_eq!(full, NoTranscoder::Full { max: budget.max });
        drop(pictures);
        let _again = all.take(Kind::Audio).unwrap();
        let error = all.take(Kind::Video).unwrap_err().to_string();
        let expected = "no transcoding capacity: of 9 places 2 are taken, and pictures take 8";
        assert_eq!(error, expected);
    }

    #[test]
    fn what_they_take_of_the_machine_is_measured_and_bounds_them() {
        let all = transcoders("sh", &["-c", "while :; do :; done"], Budget { max: 9, cpu_percent: 1 });
        let _spins = all.take(Kind::Audio).unwrap();
        let began = all.shared.state().measured.as_ref().unwrap().0;
        std::thread::sleep(Duration::from_millis(500));
        // As if it had taken that in two seconds.
        all.shared.state().measure(began + MEASURE_MIN, all.shared.cores);
        let error = all.take(Kind::Audio).unwrap_err();
        assert!(matches!(error, NoTranscoder::Busy { percent: 1.., most: 1 }), "{error}");
        assert!(all.stats().cpu_percent >= 1);
    }

    #[test]
    fn one_that_cannot_be_started_says_why() {
        let none = transcoders(
            "/nonexistent",
            &[],
            Budget {
                max: 1,
                cpu_percent: 100,
            },
        );
        assert!(matches!(none.take(Kind::Audio), Err(NoTranscoder::Start(_))));
    }
}
