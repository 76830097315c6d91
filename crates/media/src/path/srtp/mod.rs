//! SRTP and SRTCP (RFC 3711): what we send on an m-line is sealed under our key, what comes is opened under the peer's. In place, and
//! without allocating: keys are expanded once, when they are agreed.
//!
//! The transforms are those of `segue_sdp::Suite`: AES in counter mode with HMAC-SHA1 (RFC 3711, RFC 6188), AES-GCM (RFC 7714).

mod cipher;
mod index;
mod room;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use segue_sdp::{Keys, MasterKey, Mki};

use cipher::{Cipher, Fields};
use index::{INDEX_MAX, Window, candidate};
pub(crate) use room::Room;

use super::rtp;

/// How long a peer's last key is still good after it has told us of a new one: packets are on their way, and it may wait for our
/// answer before it changes.
const OVERLAP: Duration = Duration::from_secs(5);
/// Streams of a peer under one key that are kept apart; one that speaks takes the place of the one silent for longest.
const STREAMS_MAX: usize = 4;
/// The SRTCP index has 31 bits (RFC 3711 §3.4).
const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;
/// Bytes of E bit and SRTCP index.
const WORD_LEN: usize = 4;
/// Header and SSRC of the first packet of a compound, which stay readable.
const RTCP_HEAD_LEN: usize = 8;

/// The most bytes that protecting a packet adds to it: the tag of AES-GCM, and the index of SRTCP.
pub const ADDED_MAX: usize = 16 + WORD_LEN;

/// Both directions of one m-line.
#[derive(Debug)]
pub struct Srtp {
    /// What we send.
    pub sealer: Sealer,
    /// What the peer sends.
    pub opener: Opener,
}

impl Srtp {
    /// With nothing sent and nothing heard.
    pub fn new(keys: &Keys) -> Srtp {
        Srtp {
            sealer: Sealer::new(&keys.ours),
            opener: Opener::new(&keys.theirs),
        }
    }

    /// Takes what a new offer and answer have settled. A key that stays keeps all that it has counted. `moved`: the peer receives
    /// elsewhere, and may know nothing of the rollover counter (RFC 4568 §7.1.4); otherwise that counts on (RFC 3711 §3.3.1).
    pub fn agree(&mut self, now: Instant, keys: &Keys, moved: bool) {
        if self.sealer.key != keys.ours {
            let highest = self.sealer.highest.filter(|_| !moved);
            self.sealer = Sealer::new(&keys.ours);
            self.sealer.highest = highest;
        }
        self.opener.agree(now, &keys.theirs);
    }
}

/// What we send.
#[derive(Debug)]
pub struct Sealer {
    key: MasterKey,
    cipher: Box<Cipher>,
    /// The furthest packet index.
    highest: Option<u64>,
    /// Of the next compound.
    rtcp_index: u32,
}

impl Sealer {
    fn new(key: &MasterKey) -> Sealer {
        Sealer {
            key: key.clone(),
            cipher: Box::new(Cipher::new(key)),
            highest: None,
            rtcp_index: 0,
        }
    }

    /// Protects the first `len` bytes, an RTP packet; how many it has then. `None`: no RTP, no room for the tag, or the key has
    /// protected all that it may.
    pub fn seal_rtp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let head = Head::of(buffer.get(..len)?)?;
        let index = candidate(self.highest, head.sequence)?;
        let sealed = self
            .cipher
            .seal_rtp(buffer, head.len, len, Fields { ssrc: head.ssrc, index })?;
        self.highest = Some(self.highest.map_or(index, |highest| highest.max(index)));
        Some(sealed)
    }

    /// Protects the first `len` bytes, a compound of RTCP; how many it has then.
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let index = self.rtcp_index;
        let ssrc = rtcp_ssrc(buffer.get(..len)?)?;
        if index > RTCP_INDEX_MAX {
            return None;
        }
        let fields = Fields {
            ssrc,
            index: u64::from(index),
        };
        let sealed = self.cipher.seal_rtcp(buffer, len, fields)?;
        self.rtcp_index = index.saturating_add(1);
        Some(sealed)
    }
}

/// What the peer sends.
#[derive(Debug)]
pub struct Opener {
    now: Keyed,
    /// The key before, and until when it is good.
    before: Option<(Keyed, Instant)>,
}

impl Opener {
    fn new(key: &MasterKey) -> Opener {
        Opener {
            now: Keyed::new(key),
            before: None,
        }
    }

    fn agree(&mut self, now: Instant, key: &MasterKey) {
        if self.now.key == *key {
            return;
        }
        let before = std::mem::replace(&mut self.now, Keyed::new(key));
        self.before = Some((before, now + OVERLAP));
    }

    /// Opens an SRTP packet in place; how many bytes the RTP packet has. `None`: it is not authentic, or was there before.
    pub fn open_rtp(&mut self, now: Instant, bytes: &mut [u8]) -> Option<usize> {
        let head = Head::of(bytes)?;
        let rolled = self
            .before
            .as_ref()
            .and_then(|(before, _)| before.rtp.highest(head.ssrc));
        let opened = self.now.open_rtp(bytes, head, rolled);
        opened.or_else(|| self.before(now)?.open_rtp(bytes, head, None))
    }

    /// Opens an SRTCP packet in place; how many bytes the compound has.
    pub fn open_rtcp(&mut self, now: Instant, bytes: &mut [u8]) -> Option<usize> {
        let opened = self.now.open_rtcp(bytes);
        opened.or_else(|| self.before(now)?.open_rtcp(bytes))
    }

    fn before(&mut self, now: Instant) -> Option<&mut Keyed> {
        self.before.take_if(|(_, until)| *until < now);
        self.before.as_mut().map(|(before, _)| before)
    }
}

/// One key of the peer, and what came under it.
#[derive(Debug)]
struct Keyed {
    key: MasterKey,
    cipher: Box<Cipher>,
    rtp: Streams,
    rtcp: Streams,
}

impl Keyed {
    fn new(key: &MasterKey) -> Keyed {
        Keyed {
            key: key.clone(),
            cipher: Box::new(Cipher::new(key)),
            rtp: Streams::default(),
            rtcp: Streams::default(),
        }
    }

    /// `rolled`: how far the stream was under the key before.
    fn open_rtp(&mut self, bytes: &mut [u8], head: Head, rolled: Option<u64>) -> Option<usize> {
        let known = self.rtp.highest(head.ssrc);
        // A stream that is new under this key may have its rollover counter from the one before, or begin it anew; and its first
        // packets may be lost just before it wraps for the first time (RFC 4568 §6.4).
        let guesses = match known {
            Some(highest) => [candidate(Some(highest), head.sequence), None, None],
            None => [
                rolled.and_then(|highest| candidate(Some(highest), head.sequence)),
                Some(u64::from(head.sequence)),
                Some(u64::from(head.sequence) | 1 << 16).filter(|_| head.sequence < 1 << 15),
            ],
        };
        let mki = self.key.mki();
        let mut guesses = guesses.into_iter().flatten();
        guesses.find_map(|index| {
            if !self.rtp.is_new(head.ssrc, index) {
                return None;
            }
            let fields = Fields { ssrc: head.ssrc, index };
            let len = self.cipher.open_rtp(bytes, head.len, fields, mki)?;
            self.rtp.heard(head.ssrc, index);
            Some(len)
        })
    }

    fn open_rtcp(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let ssrc = rtcp_ssrc(bytes)?;
        let mki = self.key.mki();
        let index = self.cipher.rtcp_index(bytes, mki)?;
        if !self.rtcp.is_new(ssrc, index) {
            return None;
        }
        let len = self.cipher.open_rtcp(bytes, Fields { ssrc, index }, mki)?;
        self.rtcp.heard(ssrc, index);
        Some(len)
    }
}

/// The streams of a peer, by SSRC. Only an authentic packet makes one.
#[derive(Debug, Default)]
struct Streams {
    all: [Option<(u32, Window)>; STREAMS_MAX],
    /// The place of each by how long it is silent, the latest first.
    recent: [u8; STREAMS_MAX],
}

impl Streams {
    fn find(&self, ssrc: u32) -> Option<&Window> {
        let mut all = self.all.iter().flatten();
        all.find(|(known, _)| *known == ssrc).map(|(_, window)| window)
    }

    fn highest(&self, ssrc: u32) -> Option<u64> {
        self.find(ssrc).map(Window::highest)
    }

    fn is_new(&self, ssrc: u32, index: u64) -> bool {
        self.find(ssrc).is_none_or(|window| window.is_new(index))
    }

    fn heard(&mut self, ssrc: u32, index: u64) {
        let known = self
            .all
            .iter()
            .position(|stream| stream.as_ref().is_some_and(|(known, _)| *known == ssrc));
        let free = || self.all.iter().position(Option::is_none);
        // What was silent for longest has been heard the greatest number of turns ago.
        let oldest = || (0..STREAMS_MAX).max_by_key(|place| self.recent.get(*place).copied().unwrap_or(0));
        let Some(place) = known.or_else(free).or_else(oldest) else {
            return;
        };
        if self.recent.get(place).is_none_or(|turns| *turns != 0) || known.is_none() {
            self.recent
                .iter_mut()
                .for_each(|turns| *turns = turns.saturating_add(1));
            if let Some(turns) = self.recent.get_mut(place) {
                *turns = 0;
            }
        }
        match self.all.get_mut(place) {
            Some(Some((_, window))) if known.is_some() => window.heard(index),
            Some(stream) => *stream = Some((ssrc, Window::new(index))),
            None => {}
        }
    }
}

/// What of an RTP packet stays readable.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// Bytes in front of the payload.
    len: usize,
    sequence: u16,
    ssrc: u32,
}

impl Head {
    /// `None`: it is no RTP.
    fn of(bytes: &[u8]) -> Option<Head> {
        let fixed = bytes.first_chunk::<{ rtp::HEADER_LEN }>()?;
        let [first, _, s0, s1, _, _, _, _, r0, r1, r2, r3] = *fixed;
        if first >> 6 != 2 {
            return None;
        }
        let sources = usize::from(first & 0x0f).saturating_mul(4);
        let mut len = rtp::HEADER_LEN.saturating_add(sources);
        if first & 0x10 != 0 {
            let [_, _, w0, w1] = *bytes.get(len..)?.first_chunk::<4>()?;
            let words = usize::from(u16::from_be_bytes([w0, w1]));
            len = len.saturating_add(4).saturating_add(words.saturating_mul(4));
        }
        (len <= bytes.len()).then_some(Head {
            len,
            sequence: u16::from_be_bytes([s0, s1]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        })
    }
}

/// The SSRC of the sender of a compound.
fn rtcp_ssrc(bytes: &[u8]) -> Option<u32> {
    let [.., r0, r1, r2, r3] = *bytes.first_chunk::<RTCP_HEAD_LEN>()?;
    Some(u32::from_be_bytes([r0, r1, r2, r3]))
}

/// Whether an MKI stands in these bytes: its value in network order.
fn is_mki(bytes: &[u8], mki: Mki) -> bool {
    let value = mki.value.to_be_bytes();
    let (zeros, low) = match bytes.len().checked_sub(value.len()) {
        Some(longer) => (bytes.get(..longer), bytes.get(longer..)),
        None => (Some(&[][..]), Some(bytes)),
    };
    let short = value.get(value.len().saturating_sub(bytes.len())..).unwrap_or_default();
    zeros.is_some_and(|zeros| zeros.iter().all(|byte| *byte == 0)) && low == Some(short)
}

const _: () = assert!(INDEX_MAX == (1 << 48) - 1);
