//! RTCP: reports both ways, requests for key frames and lost packets both ways, goodbyes (RFC 3550 §6, RFC 4585 §6.2.1 and §6.3.1,
//! RFC 5104 §4.3.1).
#![deny(clippy::arithmetic_side_effects)]

use rtcp_types::{
    Bye, CompoundBuilder, Fir, Nack, PayloadFeedback, Pli, ReceiverReport, ReportBlock, ReportBlockBuilder,
    RtcpPacketParser, RtcpPacketWriterExt, RtcpWriteError, Sdes, SdesChunk, SdesItem, SenderReport, TransportFeedback,
};

/// Enough for every compound packet made here.
pub const BUFFER_LEN: usize = 512;
/// Lost packets taken from one request.
pub const LOST_MAX: usize = 64;

/// What one packet of a received compound tells us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A sender report.
    SenderReport {
        /// Whose.
        ssrc: u32,
        /// NTP time.
        ntp: u64,
        /// RTP timestamp of the same moment.
        rtp: u32,
        /// What it says of our stream.
        of_ours: Option<PeerReport>,
    },
    /// A receiver report.
    ReceiverReport {
        /// What it says of our stream.
        of_ours: Option<PeerReport>,
    },
    /// PLI or FIR: a key frame is wanted.
    KeyFrameRequest,
    /// NACK: these packets of ours have not come.
    Lost(Lost),
    /// Something of no consequence here.
    Other,
}

/// A report block about a stream of ours (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerReport {
    /// Packets that the peer misses since the beginning.
    pub lost: u32,
    /// Jitter as it arrives there, clock-rate units.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of our last report that it has.
    pub last_report: u32,
    /// For how long it has that, 1/65536 s.
    pub since_last_report: u32,
}

/// Sequence numbers, at most [`LOST_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    sequences: [u16; LOST_MAX],
    len: usize,
}

impl Lost {
    /// The first ones of a request.
    pub fn new(sequences: impl Iterator<Item = u16>) -> Lost {
        let mut lost = Lost {
            sequences: [0; LOST_MAX],
            len: 0,
        };
        for (slot, sequence) in lost.sequences.iter_mut().zip(sequences) {
            *slot = sequence;
            lost.len = lost.len.saturating_add(1);
        }
        lost
    }

    /// Them.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + '_ {
        self.sequences.iter().take(self.len).copied()
    }
}

/// Whether a datagram is RTCP: version 2 and a packet type of RTCP.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, _, _, ..] if first >> 6 == 2)
}

/// The packets of a compound that came to our stream `ours`. Ends at the first that is cut.
pub fn parse(mut bytes: &[u8], ours: u32) -> impl Iterator<Item = Heard> {
    std::iter::from_fn(move || {
        let &[_, kind, l0, l1, ..] = bytes else {
            return None;
        };
        let len = usize::from(u16::from_be_bytes([l0, l1]))
            .checked_add(1)?
            .checked_mul(4)?;
        let (packet, rest) = bytes.split_at_checked(len)?;
        bytes = rest;
        Some(match kind {
            200 => sender_report(packet, ours),
            201 => receiver_report(packet, ours),
            205 => lost(packet),
            206 => feedback(packet),
            _ => Heard::Other,
        })
    })
}

fn sender_report(packet: &[u8], ours: u32) -> Heard {
    SenderReport::parse(packet).map_or(Heard::Other, |report| Heard::SenderReport {
        ssrc: report.ssrc(),
        ntp: report.ntp_timestamp(),
        rtp: report.rtp_timestamp(),
        of_ours: of_ours(report.report_blocks(), ours),
    })
}

fn receiver_report(packet: &[u8], ours: u32) -> Heard {
    ReceiverReport::parse(packet).map_or(Heard::Other, |report| Heard::ReceiverReport {
        of_ours: of_ours(report.report_blocks(), ours),
    })
}

fn of_ours<'a>(mut blocks: impl Iterator<Item = ReportBlock<'a>>, ours: u32) -> Option<PeerReport> {
    let block = blocks.find(|block| block.ssrc() == ours)?;
    // 24 bits with a sign: more doubles than losses make it negative.
    let lost = block.cumulative_lost() & 0xff_ffff;
    Some(PeerReport {
        lost: if lost > 0x7f_ffff { 0 } else { lost },
        jitter: block.interarrival_jitter(),
        last_report: block.last_sender_report_timestamp(),
        since_last_report: block.delay_since_last_sender_report_timestamp(),
    })
}

fn lost(packet: &[u8]) -> Heard {
    TransportFeedback::parse(packet)
        .ok()
        .and_then(|feedback| Some(Lost::new(feedback.parse_fci::<Nack<'_>>().ok()?.entries())))
        .map_or(Heard::Other, Heard::Lost)
}

/// Feedback is taken on its port's word: peers are known to name a wrong media SSRC.
fn feedback(packet: &[u8]) -> Heard {
    let Ok(feedback) = PayloadFeedback::parse(packet) else {
        return Heard::Other;
    };
    if feedback.parse_fci::<Pli>().is_ok() || feedback.parse_fci::<Fir<'_>>().is_ok() {
        Heard::KeyFrameRequest
    } else {
        Heard::Other
    }
}

/// A sender report that says no more than how its clocks relate.
pub fn bare_sender_report(ssrc: u32, ntp: u64, rtp: u32) -> [u8; 28] {
    let mut bytes = [0; 28];
    let report = SenderReport::builder(ssrc).ntp_timestamp(ntp).rtp_timestamp(rtp);
    // 28 bytes are what it has (RFC 3550 §6.4.1).
    let _ = report.write_into(&mut bytes);
    bytes
}

/// What a sender report of ours says.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// NTP time of now.
    pub ntp: u64,
    /// The stream's timestamp of now.
    pub rtp: u32,
    /// Packets so far.
    pub packets: u32,
    /// Payload octets so far.
    pub octets: u32,
}

/// What a compound says after the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Picture loss indication: a key frame, please.
    Pli,
    /// Full intra request with its own sequence number.
    Fir(u8),
    /// These packets again, please.
    Nack(Lost),
    /// No more will come.
    Bye,
}

/// A compound packet of ours: a sender or receiver report, the CNAME, and maybe more.
#[derive(Debug)]
pub struct Compound<'a> {
    /// Our SSRC.
    pub ssrc: u32,
    /// Our CNAME (RFC 7022).
    pub cname: &'a str,
    /// Present when we send.
    pub sending: Option<Sending>,
    /// Present when we receive.
    pub block: Option<ReportBlockBuilder>,
    /// With the media SSRC that it is asked of (0 while unknown).
    pub feedback: Option<(u32, Feedback)>,
}

impl Compound<'_> {
    /// Writes it; how long it is.
    ///
    /// # Errors
    /// When `out` is too small; [`BUFFER_LEN`] is not.
    pub fn write(self, out: &mut [u8]) -> Result<usize, RtcpWriteError> {
        let compound = CompoundBuilder::default();
        let compound = match self.sending {
            Some(sending) => {
                let report = SenderReport::builder(self.ssrc)
                    .ntp_timestamp(sending.ntp)
                    .rtp_timestamp(sending.rtp)
                    .packet_count(sending.packets)
                    .octet_count(sending.octets);
                compound.add_packet(match self.block {
                    Some(block) => report.add_report_block(block),
                    None => report,
                })
            }
            None => {
                let report = ReceiverReport::builder(self.ssrc);
                compound.add_packet(match self.block {
                    Some(block) => report.add_report_block(block),
                    None => report,
                })
            }
        };
        let name = SdesItem::builder(SdesItem::CNAME, self.cname);
        let compound = compound.add_packet(Sdes::builder().add_chunk(SdesChunk::builder(self.ssrc).add_item(name)));
        let compound = match self.feedback {
            Some((media, Feedback::Pli)) => compound.add_packet(
                PayloadFeedback::builder_owned(Pli::builder())
                    .sender_ssrc(self.ssrc)
                    .media_ssrc(media),
            ),
            // The media source field of a FIR is 0, its target stands in the entry (RFC 5104 §4.3.1.2).
            Some((media, Feedback::Fir(sequence))) => compound.add_packet(
                PayloadFeedback::builder_owned(Fir::builder().add_ssrc(media, sequence))
                    .sender_ssrc(self.ssrc)
                    .media_ssrc(0),
            ),
            Some((media, Feedback::Nack(lost))) => {
                let nack = lost
                    .sequences()
                    .fold(Nack::builder(), |nack, sequence| nack.add_rtp_sequence(sequence));
                compound.add_packet(
                    TransportFeedback::builder_owned(nack)
                        .sender_ssrc(self.ssrc)
                        .media_ssrc(media),
                )
            }
            Some((_, Feedback::Bye)) => compound.add_packet(Bye::builder().add_source(self.ssrc)),
            None => compound,
        };
        compound.write_into(out)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    fn write(feedback: Option<(u32, Feedback)>) -> Vec<u8> {
        let sending = Sending {
            ntp: 0x1234_5678_9abc_def0,
            rtp: 4_711,
            packets: 3,
            octets: 480,
        };
        let compound = Compound {
            ssrc: 7,
            cname: "abcdef0123456789",
            sending: Some(sending),
            block: None,
            feedback,
        };
        let mut out = [0; BUFFER_LEN];
        let len = compound.write(&mut out).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn a_report_reads_back_as_written() {
        let bytes = write(None);
        assert!(is_rtcp(&bytes));
        let heard: Vec<Heard> = parse(&bytes, 1).collect();
        let report = Heard::SenderReport {
            ssrc: 7,
            ntp: 0x1234_5678_9abc_def0,
            rtp: 4_711,
            of_ours: None,
        };
        assert_eq!(heard, [report, Heard::Other]);
    }

    #[test]
    fn both_ways_to_ask_for_a_key_frame_are_understood() {
        for request in [Feedback::Pli, Feedback::Fir(3)] {
            let heard: Vec<Heard> = parse(&write(Some((9, request))), 1).collect();
            assert_eq!(heard.last(), Some(&Heard::KeyFrameRequest), "{request:?}");
        }
    }

    #[test]
    fn lost_packets_are_asked_for_by_number() {
        let wanted = [65_530, 65_535, 0, 1, 300];
        let bytes = write(Some((9, Feedback::Nack(Lost::new(wanted.into_iter())))));
        let Some(Heard::Lost(lost)) = parse(&bytes, 1).last() else {
            panic!("no NACK")
        };
        let mut read: Vec<u16> = lost.sequences().collect();
        read.sort_unstable();
        assert_eq!(read, [0, 1, 300, 65_530, 65_535]);
        // Whoever asks for more gets this many, and any request of ours fits.
        let scattered = Lost::new((0..2_000).map(|n| n * 30));
        assert_eq!(scattered.sequences().count(), LOST_MAX);
        write(Some((9, Feedback::Nack(scattered))));
    }

    #[test]
    fn a_peer_s_report_of_our_stream_is_found_among_others() {
        let block = |ssrc, lost| {
            ReportBlock::builder(ssrc)
                .cumulative_lost(lost)
                .interarrival_jitter(40)
                .last_sender_report_timestamp(5)
                .delay_since_last_sender_report_timestamp(6)
        };
        let mut bytes = [0; 128];
        let report = ReceiverReport::builder(9)
            .add_report_block(block(1, 3))
            .add_report_block(block(2, 4));
        let len = report.write_into(&mut bytes).unwrap();
        let of_ours = PeerReport {
            lost: 4,
            jitter: 40,
            last_report: 5,
            since_last_report: 6,
        };
        let heard = |ours| parse(&bytes[..len], ours).next();
        assert_eq!(heard(2), Some(Heard::ReceiverReport { of_ours: Some(of_ours) }));
        assert_eq!(heard(3), Some(Heard::ReceiverReport { of_ours: None }));
    }

    #[test]
    fn a_bare_report_tells_the_clocks() {
        let bytes = bare_sender_report(3, 4 << 32, 5);
        let report = Heard::SenderReport {
            ssrc: 3,
            ntp: 4 << 32,
            rtp: 5,
            of_ours: None,
        };
        assert_eq!(parse(&bytes, 1).collect::<Vec<_>>(), [report]);
    }

    #[test]
    fn a_goodbye_is_the_last_of_its_compound() {
        let bytes = write(Some((0, Feedback::Bye)));
        assert_eq!(bytes[bytes.len() - 8..], [0x81, 203, 0, 1, 0, 0, 0, 7]);
    }

    #[test]
    fn damaged_compounds_end_quietly() {
        let bytes = write(Some((9, Feedback::Pli)));
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len], 1).count() < 3, "cut at {len}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] = 0xff;
            assert!(parse(&damaged, 1).count() <= 3);
        }
    }

    #[test]
    fn rtp_is_not_rtcp() {
        assert!(!is_rtcp(&[0x80, 0, 0, 1]));
        assert!(!is_rtcp(&[0x80, 96, 0, 1]));
        assert!(!is_rtcp(&[0x80, 200]));
    }
}
