//! A media thread: carries datagrams, commands and time to the sessions it owns, and what they say to the system.

use std::{
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use segue_sdp::Kind;

use crate::{
    Command, Event, LegKey, SessionKey,
    bell::Bell,
    carrier::{Carrier, LegPair},
    media::Events,
    path::srtp::Room,
    ports::Pair,
    rest::Rest,
    session::{BATCH_MAX, Session, SessionConfig},
    spool_link::SpoolLink,
    stats::Counters,
    syscall::Inbox,
    transcode::{MESSAGE_MAX, TranscodeLink, Transcoders},
    wheel::{Timer, Wheel},
};

/// What a media thread is told.
pub enum Order {
    /// A leg has its ports; the session is made with its first leg.
    Open {
        session: SessionKey,
        leg: LegKey,
        pairs: Box<[Pair; 2]>,
    },
    /// For a session.
    Command(SessionKey, Box<Command>),
    /// End everything.
    Stop,
}

/// What a media thread starts with.
pub struct Start {
    pub orders: Receiver<Order>,
    pub bell: Arc<Bell>,
    pub events: Arc<Events>,
    pub counters: Arc<Counters>,
    pub recordings: Arc<AtomicU64>,
    pub spool: SpoolLink,
    /// Mixed with each session's key.
    pub seed: u64,
    pub epoch: (Instant, u64),
    pub rtp_gone: Duration,
}

const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;
/// Events taken from the system at once.
const EVENTS_MAX: usize = 128;
/// Batches taken from one socket before others have their turn.
const BATCHES_MAX: usize = 4;
/// In place of a pair's in a token: the processes that transcode sound and pictures.
const TRANSCODER: usize = 0x7fff;
const PICTURES: usize = 0x7ffe;
/// Messages taken from it before others have their turn.
const MESSAGES_MAX: usize = 32;
/// Datagrams taken at once from a port of sound.
const SOUND_MAX: usize = 4;
/// What of a generation fits a token: a slot must not hold more, or no event would find it any more.
const GENERATION_MASK: u32 = 0xff_ffff;
/// Told once for what has come, and not again after it was taken: the system would look at each port twice.
const COMES: EpollFlags = EpollFlags::EPOLLIN.union(EpollFlags::EPOLLET);
/// Orders performed before packets have their turn.
const ORDERS_MAX: usize = 64;

/// One thread's sessions.
pub struct MediaThread {
    start: Start,
    epoll: Epoll,
    timer: TimerFd,
    armed: Option<Instant>,
    inbox: Inbox,
    room: Room,
    wheel: Wheel,
    rest: Rest,
    due: Vec<Timer>,
    slots: Vec<Option<Slot>>,
    by_key: HashMap<SessionKey, usize>,
    /// Rises with each slot used, up to `GENERATION_MASK`, so that an event of a closed socket finds nobody.
    generation: u32,
}

struct Slot {
    key: SessionKey,
    generation: u32,
    session: Session,
    pairs: Vec<Option<LegPair>>,
    /// The ways to the processes that transcode.
    transcoders: Transcoders,
    /// The tick of its valid timer.
    tick: Option<u64>,
}

impl MediaThread {
    /// # Errors
    /// When the system gives no epoll or timer.
    pub fn new(start: Start) -> io::Result<MediaThread> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )?;
        epoll.add(&*start.bell, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        // Told once: setting it anew takes back that it has run out.
        epoll.add(
            &timer,
            EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, TIMER),
        )?;
        let now = Instant::now();
        Ok(MediaThread {
            start,
            epoll,
            timer,
            armed: None,
            inbox: Inbox::new(),
            room: Room::new(),
            wheel: Wheel::new(now),
            rest: Rest::new(now),
            due: Vec::new(),
            slots: Vec::new(),
            by_key: HashMap::new(),
            generation: 0,
        })
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let (mut orders_wait, mut taken) = (false, 0);
        loop {
            let now = Instant::now();
            let rest = self.rest.after(now, taken, self.next());
            taken = 0;
            let timeout = if orders_wait {
                EpollTimeout::ZERO
            } else if let Some(rest) = rest {
                std::thread::sleep(rest);
                EpollTimeout::ZERO
            } else {
                self.arm(now);
                EpollTimeout::NONE
            };
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "a media thread cannot wait any more");
                    break;
                }
            };
            let now = Instant::now();
            let mut woken = orders_wait;
            for event in events.iter().take(count) {
                match event.data() {
                    WAKE => {
                        self.start.bell.hear();
                        woken = true;
                    }
                    TIMER => self.armed = None,
                    token => taken += self.receive(now, token),
                }
            }
            self.fire(now);
            if woken {
                match self.perform(now) {
                    Some(more) => orders_wait = more,
                    None => break,
                }
            }
            if self.start.spool.flush_at().is_some_and(|at| at <= now) {
                self.start.spool.flush(now);
            }
        }
        self.end();
    }

    /// Performs waiting orders: whether there are more, or nothing when it shall stop.
    fn perform(&mut self, now: Instant) -> Option<bool> {
        for _ in 0..ORDERS_MAX {
            match self.start.orders.try_recv() {
                Ok(Order::Open { session, leg, pairs }) => self.open(now, session, leg, *pairs),
                Ok(Order::Command(key, command)) => self.command(now, key, *command),
                Ok(Order::Stop) | Err(std::sync::mpsc::TryRecvError::Disconnected) => return None,
                Err(std::sync::mpsc::TryRecvError::Empty) => return Some(false),
            }
        }
        Some(true)
    }

    fn open(&mut self, now: Instant, key: SessionKey, leg: LegKey, pairs: [Pair; 2]) {
        let index = match self.by_key.get(&key) {
            Some(&index) => index,
            None => self.make(key),
        };
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        if !slot.session.add_leg(now, leg) {
            tracing::error!(session = key, leg = leg.0, "a leg was opened twice, or too many");
            return;
        }
        for (kind, pair) in [Kind::Audio, Kind::Video].into_iter().zip(pairs) {
            let place = slot.pairs.iter().position(Option::is_none).unwrap_or(slot.pairs.len());
            let rtp = token(index, slot.generation, place, false);
            let rtcp = token(index, slot.generation, place, true);
            let added = self
                .epoll
                .add(&pair.rtp, EpollEvent::new(COMES, rtp))
                .and_then(|()| self.epoll.add(&pair.rtcp, EpollEvent::new(COMES, rtcp)));
            if let Err(error) = added {
                tracing::error!(%error, session = key, "a port cannot be watched");
            }
            let pair = Some(LegPair { leg, kind, pair });
            match slot.pairs.get_mut(place) {
                Some(free) => *free = pair,
                None => slot.pairs.push(pair),
            }
        }
    }

    fn make(&mut self, key: SessionKey) -> usize {
        self.generation = after(self.generation);
        let config = SessionConfig {
            seed: self.start.seed ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            epoch: self.start.epoch,
            rtp_gone: self.start.rtp_gone,
        };
        let slot = Some(Slot {
            key,
            generation: self.generation,
            session: Session::new(config),
            pairs: Vec::with_capacity(4),
            transcoders: Transcoders::default(),
            tick: None,
        });
        let index = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        match self.slots.get_mut(index) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.by_key.insert(key, index);
        self.start.counters.sessions.fetch_add(1, Relaxed);
        index
    }

    fn command(&mut self, now: Instant, key: SessionKey, command: Command) {
        let Some(&index) = self.by_key.get(&key) else {
            return;
        };
        if let Command::Transcode { kind, by } = &command {
            self.transcode_by(index, *kind, by.clone());
        }
        let (closes, leaves) = match command {
            Command::Close => (true, None),
            Command::CloseLeg { leg } => (false, Some(leg)),
            _ => (false, None),
        };
        self.with(index, now, |session, carrier| {
            session.handle_command(now, command, carrier)
        });
        if closes {
            self.drop_slot(index);
        } else if let (Some(leg), Some(slot)) = (leaves, self.slots.get_mut(index).and_then(Option::as_mut)) {
            for pair in &mut slot.pairs {
                if pair.as_ref().is_some_and(|pair| pair.leg == leg) {
                    *pair = None;
                }
            }
        }
    }

    /// A session has another process that transcodes, or none any more.
    fn transcode_by(&mut self, index: usize, kind: Kind, link: Option<Arc<TranscodeLink>>) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let place = slot.transcoders.of(kind);
        if let Some(before) = place.take() {
            // It is known, or its socket is closed.
            let _ = self.epoll.delete(&*before);
        }
        if let Some(link) = &link {
            let number = match kind {
                Kind::Audio => TRANSCODER,
                Kind::Video => PICTURES,
            };
            let token = token(index, slot.generation, number, false);
            if let Err(error) = self.epoll.add(&**link, EpollEvent::new(EpollFlags::EPOLLIN, token)) {
                tracing::error!(%error, session = slot.key, "a transcoding process cannot be watched");
            }
        }
        *place = link;
    }

    /// A process that transcodes for a session has something to say; how much was taken.
    fn receive_transcoded(&mut self, now: Instant, index: usize, generation: u32, kind: Kind) -> usize {
        let slot = self.slots.get_mut(index).and_then(Option::as_mut);
        let link = slot.filter(|slot| slot.generation == generation);
        let Some(link) = link.and_then(|slot| slot.transcoders.of(kind).clone()) else {
            return 0;
        };
        let mut room = [0; MESSAGE_MAX];
        for taken in 0..MESSAGES_MAX {
            match link.take(&mut room) {
                Ok(Some(len)) => self.with(index, now, |session, carrier| {
                    session.handle_transcoded(now, kind, room.get(..len).unwrap_or_default(), carrier);
                }),
                Ok(None) => return taken,
                Err(_) => {
                    self.transcode_by(index, kind, None);
                    self.with(index, now, |session, carrier| {
                        session.transcoder_is_gone(now, kind, carrier);
                    });
                    return taken;
                }
            }
        }
        MESSAGES_MAX
    }

    /// A port has datagrams; how many were taken.
    fn receive(&mut self, now: Instant, token: u64) -> usize {
        let mut taken = 0;
        let (index, generation, place, is_rtcp) = from_token(token);
        match place {
            TRANSCODER => return self.receive_transcoded(now, index, generation, Kind::Audio),
            PICTURES => return self.receive_transcoded(now, index, generation, Kind::Video),
            _ => {}
        }
        for turn in 0..=BATCHES_MAX {
            let pair = self
                .slots
                .get(index)
                .and_then(Option::as_ref)
                .filter(|slot| slot.generation == generation)
                .and_then(|slot| slot.pairs.get(place)?.as_ref());
            let Some(pair) = pair else {
                break;
            };
            let (leg, kind) = (pair.leg, pair.kind);
            let socket = if is_rtcp { &pair.pair.rtcp } else { &pair.pair.rtp };
            if turn == BATCHES_MAX {
                // Others have their turn; what is left is told once more.
                let _ = self.epoll.modify(socket, &mut EpollEvent::new(COMES, token));
                break;
            }
            // Sound comes one by one; to make room for more takes time.
            let limit = if kind == Kind::Audio { SOUND_MAX } else { BATCH_MAX };
            let count = match self.inbox.receive(socket, limit) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Of an earlier packet; those that have come are still there.
                Err(_) => continue,
            };
            taken += count;
            let mut inbox = std::mem::replace(&mut self.inbox, Inbox::none());
            self.with(index, now, |session, carrier| {
                if is_rtcp {
                    for (from, bytes) in inbox.datagrams(count) {
                        session.handle_rtcp(now, leg, kind, from, bytes, carrier);
                    }
                } else {
                    session.handle_rtp(now, leg, kind, inbox.datagrams(count), carrier);
                }
            });
            self.inbox = inbox;
            if count < limit {
                break;
            }
        }
        taken
    }

    /// Lets sessions do what is due.
    fn fire(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take_due(now, &mut due);
        let tick_now = self.wheel.tick_of(now);
        for timer in due.drain(..) {
            let valid = self
                .slots
                .get_mut(timer.id)
                .and_then(Option::as_mut)
                .filter(|slot| slot.tick == Some(timer.tick));
            match valid {
                Some(_) if timer.tick > tick_now => self.wheel.set(timer),
                Some(slot) => {
                    slot.tick = None;
                    // Those before it have taken their time.
                    let now = Instant::now();
                    self.with(timer.id, now, |session, carrier| session.handle_timeout(now, carrier));
                }
                None => {}
            }
        }
        self.due = due;
    }

    /// Calls a session and sets its timer by what it wants after. One that panics is closed: the others live.
    fn with(&mut self, index: usize, now: Instant, call: impl FnOnce(&mut Session, &mut Carrier<'_>)) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let mut carrier = Carrier {
            now,
            key: slot.key,
            pairs: &slot.pairs,
            room: &mut self.room,
            spool: &mut self.start.spool,
            recordings: &self.start.recordings,
            events: &self.start.events,
            counters: &self.start.counters,
            transcoders: &slot.transcoders,
        };
        let session = &mut slot.session;
        if catch_unwind(AssertUnwindSafe(|| call(session, &mut carrier))).is_err() {
            let key = slot.key;
            tracing::error!(session = key, "a media session panicked and is closed");
            // What it has recorded so far is a message, if it can still end it.
            let close = || session.handle_command(now, Command::Close, &mut carrier);
            let _ = catch_unwind(AssertUnwindSafe(close));
            self.drop_slot(index);
            (self.start.events)(key, Event::Lost);
            return;
        }
        if let Some(at) = slot.session.poll_timeout() {
            let tick = self.wheel.tick_of(at);
            if slot.tick.is_none_or(|set| tick < set) {
                slot.tick = Some(tick);
                self.wheel.set(Timer { id: index, tick });
            }
        }
    }

    fn drop_slot(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index).and_then(Option::take) {
            self.by_key.remove(&slot.key);
            self.start.counters.sessions.fetch_sub(1, Relaxed);
        }
    }

    /// When something is due next.
    fn next(&self) -> Option<Instant> {
        let next = [self.wheel.next(), self.start.spool.flush_at()];
        next.into_iter().flatten().min()
    }

    /// Sets the system's timer to what is due next.
    fn arm(&mut self, now: Instant) {
        let next = self.next();
        let result = match next {
            Some(next) if self.armed == Some(next) => Ok(()),
            Some(next) => {
                // Zero would disarm it.
                let wait = next.saturating_duration_since(now).max(Duration::from_nanos(1));
                let wait = Expiration::OneShot(TimeSpec::from_duration(wait));
                self.timer.set(wait, TimerSetTimeFlags::empty())
            }
            None => self.timer.unset(),
        };
        self.armed = next.filter(|_| result.is_ok());
    }

    fn end(mut self) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            self.with(index, now, |session, carrier| {
                session.handle_command(now, Command::Close, carrier);
            });
            self.drop_slot(index);
        }
        self.start.spool.finish();
    }
}

/// The generation after this one, within what a token tells.
fn after(generation: u32) -> u32 {
    generation.wrapping_add(1) & GENERATION_MASK
}

/// Where an event's port is: slot, its generation, place of the pair, RTP or RTCP.
fn token(index: usize, generation: u32, place: usize, is_rtcp: bool) -> u64 {
    let generation = u64::from(generation & GENERATION_MASK);
    (generation << 40) | ((index as u64 & 0xff_ffff) << 16) | ((place as u64 & 0x7fff) << 1) | u64::from(is_rtcp)
}

fn from_token(token: u64) -> (usize, u32, usize, bool) {
    let index = ((token >> 16) & 0xff_ffff) as usize;
    (
        index,
        (token >> 40) as u32,
        ((token >> 1) & 0x7fff) as usize,
        token & 1 == 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_is_found_again_by_its_token() {
        let mut generation = 0xff_fffc;
        for _ in 0..8 {
            generation = after(generation);
            assert_eq!(from_token(token(5, generation, 3, true)), (5, generation, 3, true));
        }
    }
}
