//! RTCP: reports of ours, key frame requests both ways (RFC 3550 §6, RFC 4585 §6.3.1, RFC 5104 §4.3.1).
#![deny(clippy::arithmetic_side_effects)]

use rtcp_types::{
    CompoundBuilder, Fir, PayloadFeedback, Pli, ReceiverReport, ReportBlockBuilder, RtcpPacketParser,
    RtcpPacketWriterExt, RtcpWriteError, Sdes, SdesChunk, SdesItem, SenderReport,
};

/// Enough for every compound packet made here.
pub const BUFFER_LEN: usize = 256;

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
    },
    /// PLI or FIR: a key frame is wanted.
    KeyFrameRequest,
    /// Something of no consequence here.
    Other,
}

/// Whether a datagram is RTCP: version 2 and a packet type of RTCP.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, _, _, ..] if first >> 6 == 2)
}

/// The packets of a compound. Ends at the first that is cut.
pub fn parse(mut bytes: &[u8]) -> impl Iterator<Item = Heard> {
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
            200 => sender_report(packet),
            206 => feedback(packet),
            _ => Heard::Other,
        })
    })
}

fn sender_report(packet: &[u8]) -> Heard {
    SenderReport::parse(packet).map_or(Heard::Other, |report| Heard::SenderReport {
        ssrc: report.ssrc(),
        ntp: report.ntp_timestamp(),
        rtp: report.rtp_timestamp(),
    })
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

/// How a key frame is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFrameRequest {
    /// Picture loss indication.
    Pli,
    /// Full intra request with its own sequence number.
    Fir(u8),
}

/// A compound packet of ours: a sender or receiver report, the CNAME, and maybe a request for a key frame of `media_ssrc`.
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
    /// Asked of this media SSRC (0 while unknown).
    pub request: Option<(u32, KeyFrameRequest)>,
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
        let compound = match self.request {
            Some((media, KeyFrameRequest::Pli)) => compound.add_packet(
                PayloadFeedback::builder_owned(Pli::builder())
                    .sender_ssrc(self.ssrc)
                    .media_ssrc(media),
            ),
            // The media source field of a FIR is 0, its target stands in the entry (RFC 5104 §4.3.1.2).
            Some((media, KeyFrameRequest::Fir(sequence))) => compound.add_packet(
                PayloadFeedback::builder_owned(Fir::builder().add_ssrc(media, sequence))
                    .sender_ssrc(self.ssrc)
                    .media_ssrc(0),
            ),
            None => compound,
        };
        compound.write_into(out)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    fn write(request: Option<(u32, KeyFrameRequest)>) -> Vec<u8> {
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
            request,
        };
        let mut out = [0; BUFFER_LEN];
        let len = compound.write(&mut out).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn a_report_reads_back_as_written() {
        let bytes = write(None);
        assert!(is_rtcp(&bytes));
        let heard: Vec<Heard> = parse(&bytes).collect();
        let report = Heard::SenderReport {
            ssrc: 7,
            ntp: 0x1234_5678_9abc_def0,
            rtp: 4_711,
        };
        assert_eq!(heard, [report, Heard::Other]);
    }

    #[test]
    fn both_ways_to_ask_for_a_key_frame_are_understood() {
        for request in [KeyFrameRequest::Pli, KeyFrameRequest::Fir(3)] {
            let heard: Vec<Heard> = parse(&write(Some((9, request)))).collect();
            assert_eq!(heard.last(), Some(&Heard::KeyFrameRequest), "{request:?}");
        }
    }

    #[test]
    fn damaged_compounds_end_quietly() {
        let bytes = write(Some((9, KeyFrameRequest::Pli)));
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).count() < 3, "cut at {len}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] = 0xff;
            assert!(parse(&damaged).count() <= 3);
        }
    }

    #[test]
    fn rtp_is_not_rtcp() {
        assert!(!is_rtcp(&[0x80, 0, 0, 1]));
        assert!(!is_rtcp(&[0x80, 96, 0, 1]));
        assert!(!is_rtcp(&[0x80, 200]));
    }
}
