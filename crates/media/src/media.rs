//! The owner's handle on the packet path.

use crate::{Command, Event, LegKey, MediaConfig, MediaError, Ports, SessionKey};

/// Called with each event, on a media thread or the spool thread: it must return soon and never wait for a thread that gives
/// commands.
pub type Events = Box<dyn Fn(SessionKey, Event) + Send + Sync>;

/// The running packet path.
#[derive(Debug)]
pub struct Media {}

/// What the packet path has done since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Sessions open now.
    pub sessions: u64,
    /// RTP ports leased now (each with its RTCP port).
    pub ports: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Of them by the player more than 5 ms after their time.
    pub late: u64,
    /// RTP packets received that were meant for us.
    pub received: u64,
    /// Of them relayed to the other side.
    pub relayed: u64,
    /// Datagrams dropped: no RTP or RTCP, unknown payload type, not from the signalled address.
    pub bad: u64,
    /// Datagrams the system refused to send.
    pub send_failed: u64,
    /// Packets a recording lost because the spool thread did not keep up.
    pub spool_dropped: u64,
}

impl Media {
    /// Starts the media threads and the spool thread.
    ///
    /// # Errors
    /// [`MediaError::Config`] for settings that cannot work, [`MediaError::System`] when a thread cannot start.
    pub fn start(_config: MediaConfig, _events: Events) -> Result<Media, MediaError> {
        Err(MediaError::Gone)
    }

    /// Binds a leg's four sockets (RTP and RTCP of audio and video), making the session with its first leg.
    ///
    /// # Errors
    /// [`MediaError::NoPorts`], [`MediaError::System`], [`MediaError::Busy`].
    pub fn open(&self, _session: SessionKey, _leg: LegKey) -> Result<Ports, MediaError> {
        Err(MediaError::Gone)
    }

    /// Tells a session what to do. Commands of one session are performed in order; one for a session that is not open is
    /// ignored. `StopRecording`, `CloseLeg` and `Close` wait for room in a full queue, the others are refused.
    ///
    /// # Errors
    /// [`MediaError::Busy`] when the queue is full, [`MediaError::Gone`] after a thread has died.
    pub fn command(&self, _session: SessionKey, _command: Command) -> Result<(), MediaError> {
        Err(MediaError::Gone)
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Ends all sessions and recordings (cause `stopped`) and waits for the threads.
    pub fn shutdown(self) {}
}
