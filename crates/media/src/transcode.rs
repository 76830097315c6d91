//! The way to the process that makes sound, or pictures, in one codec of those in another: messages over a pair of sockets, none of which
//! waits.
//!
//! A message is a head of 8 bytes (kind, whose it is, marker, generation, RTP timestamp) and what it carries. The server says
//! [`Words::Setup`] once and whenever a codec has changed, which begins the next generation, and then each packet; the process
//! gives back what it has made, of its generation: sound in the clock of the codec it is in, pictures under the timestamps and the SSRC of
//! those that they are made of. Either may ask the other for a key frame.

use std::{
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use segue_sdp::{Kind, Stream};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

/// Longest message, bytes; a datagram of sound fits.
pub const MESSAGE_MAX: usize = 4_096;
const HEAD: usize = 8;
const SETUP: u8 = 0;
const SOUND: u8 = 1;
const PICTURE: u8 = 2;
const KEY_FRAME: u8 = 3;

/// The codecs of the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codecs {
    /// What the caller's leg speaks.
    pub a: Coded,
    /// What the callee's leg speaks.
    pub b: Coded,
}

/// A codec as SDP names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coded {
    /// `a=rtpmap` encoding name.
    pub encoding: String,
    /// `a=fmtp` value.
    pub fmtp: Option<String>,
}

impl Coded {
    /// That of a stream; `None`: nobody here can make it.
    pub fn of(stream: &Stream) -> Option<Coded> {
        (!stream.format.codec.is_foreign()).then(|| Coded {
            encoding: stream.format.codec.encoding_name().to_owned(),
            fmtp: stream.format.fmtp.clone(),
        })
    }
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words<'a> {
    /// [`Codecs`] as JSON; what was under way in others is over.
    Setup {
        /// Rises with each of these.
        generation: u8,
        /// The codecs.
        json: &'a [u8],
    },
    /// A packet of sound.
    Sound(Sound<'a>),
    /// A packet of a picture.
    Picture {
        /// It is the caller's, or made of it; else the callee's.
        of_caller: bool,
        /// Of which [`Words::Setup`].
        generation: u8,
        /// The RTP packet, without CSRCs, header extensions and padding.
        packet: &'a [u8],
    },
    /// To the process: a key frame is wanted of what it makes of this side's. From it: this side is to send one.
    KeyFrame {
        /// The caller's pictures; else the callee's.
        of_caller: bool,
        /// Of which [`Words::Setup`].
        generation: u8,
    },
}

/// A packet of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound<'a> {
    /// It is the caller's, or made of it; else the callee's.
    pub of_caller: bool,
    /// Sound begins anew after a pause.
    pub marker: bool,
    /// Of which [`Words::Setup`].
    pub generation: u8,
    /// RTP timestamp, in the clock of the codec that it is in.
    pub timestamp: u32,
    /// RTP payload.
    pub payload: &'a [u8],
}

impl<'a> Words<'a> {
    /// Reads a message; `None`: it is none.
    pub fn parse(bytes: &'a [u8]) -> Option<Words<'a>> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let [kind, of_caller, marker, generation, t0, t1, t2, t3] = *head;
        match kind {
            SETUP => Some(Words::Setup { generation, json: rest }),
            SOUND => Some(Words::Sound(Sound {
                of_caller: of_caller == 1,
                marker: marker == 1,
                generation,
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                payload: rest,
            })),
            PICTURE => Some(Words::Picture {
                of_caller: of_caller == 1,
                generation,
                packet: rest,
            }),
            KEY_FRAME => Some(Words::KeyFrame {
                of_caller: of_caller == 1,
                generation,
            }),
            _ => None,
        }
    }

    /// Writes it after what is in `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Words::Setup { generation, json } => {
                out.extend_from_slice(&[SETUP, 0, 0, *generation, 0, 0, 0, 0]);
                out.extend_from_slice(json);
            }
            Words::Sound(sound) => {
                let [t0, t1, t2, t3] = sound.timestamp.to_be_bytes();
                let (of_caller, marker) = (u8::from(sound.of_caller), u8::from(sound.marker));
                out.extend_from_slice(&[SOUND, of_caller, marker, sound.generation, t0, t1, t2, t3]);
                out.extend_from_slice(sound.payload);
            }
            Words::Picture {
                of_caller,
                generation,
                packet,
            } => {
                out.extend_from_slice(&[PICTURE, u8::from(*of_caller), 0, *generation, 0, 0, 0, 0]);
                out.extend_from_slice(packet);
            }
            Words::KeyFrame { of_caller, generation } => {
                out.extend_from_slice(&[KEY_FRAME, u8::from(*of_caller), 0, *generation, 0, 0, 0, 0]);
            }
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// It is on its way.
    Taken,
    /// The process does not keep up: it is dropped.
    Full,
    /// There is nobody any more.
    Gone,
}

/// The server's end.
#[derive(Debug)]
pub struct TranscodeLink(Socket);

impl TranscodeLink {
    /// A pair: ours, and what the process gets as its standard input.
    ///
    /// # Errors
    /// The system gives no sockets.
    pub fn pair() -> io::Result<(TranscodeLink, OwnedFd)> {
        // Whole messages, in order, and an end when either side goes.
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        ours.set_nonblocking(true)?;
        Ok((TranscodeLink(ours), theirs.into()))
    }

    /// The same where both ends may wait, for whoever is no packet path.
    ///
    /// # Errors
    /// The system gives no sockets.
    pub fn waiting_pair() -> io::Result<(OwnedFd, OwnedFd)> {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        Ok((ours.into(), theirs.into()))
    }

    pub(crate) fn give(&self, message: &[u8]) -> Given {
        match self.0.send(message) {
            Ok(_) => Given::Taken,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Given::Full,
            Err(_) => Given::Gone,
        }
    }

    /// The next message; `Ok(None)`: none is waiting.
    ///
    /// # Errors
    /// There is nobody any more.
    pub(crate) fn take(&self, room: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.0).read(room) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The ways of one session.
#[derive(Debug, Default)]
pub(crate) struct Transcoders {
    sound: Option<Arc<TranscodeLink>>,
    pictures: Option<Arc<TranscodeLink>>,
}

impl Transcoders {
    pub(crate) fn of(&mut self, kind: Kind) -> &mut Option<Arc<TranscodeLink>> {
        match kind {
            Kind::Audio => &mut self.sound,
            Kind::Video => &mut self.pictures,
        }
    }

    pub(crate) fn get(&self, kind: Kind) -> Option<&TranscodeLink> {
        match kind {
            Kind::Audio => self.sound.as_deref(),
            Kind::Video => self.pictures.as_deref(),
        }
    }
}

impl AsFd for TranscodeLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    #[test]
    fn messages_are_whole_and_end_with_the_other_side() {
        let (link, theirs) = TranscodeLink::pair().unwrap();
        let mut theirs = File::from(theirs);
        let sound = Sound {
            of_caller: true,
            marker: false,
            generation: 3,
            timestamp: 0x0102_0304,
            payload: &[7, 8],
        };
        let mut bytes = Vec::new();
        Words::Sound(sound).write(&mut bytes);
        assert_eq!(link.give(&bytes), Given::Taken);
        assert_eq!(link.give(&bytes), Given::Taken);
        let mut room = [0; MESSAGE_MAX];
        let len = theirs.read(&mut room).unwrap();
        assert_eq!(Words::parse(&room[..len]), Some(Words::Sound(sound)));
        assert_eq!(link.take(&mut room).unwrap(), None);
        theirs.write_all(&bytes).unwrap();
        assert_eq!(link.take(&mut room).unwrap(), Some(bytes.len()));
        assert_eq!(Words::parse(&bytes[..7]), None);
        // One that does not read is not waited for.
        while link.give(&bytes) == Given::Taken {}
        assert_eq!(link.give(&bytes), Given::Full);
        drop(theirs);
        assert_eq!(link.give(&bytes), Given::Gone);
        assert!(link.take(&mut room).is_err());
    }
}
