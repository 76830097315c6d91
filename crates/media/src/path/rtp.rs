//! RTP headers (RFC 3550 §5.1).
#![deny(clippy::arithmetic_side_effects)]

use rtp_types::RtpPacket;

use super::vp8;

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 12;

/// One packet on its way out: a header made here, and bytes from a cache or from the datagram it came in.
#[derive(Debug, Clone, Copy)]
pub struct Wire<'a> {
    /// The fixed header, and a VP8 payload descriptor of ours.
    pub head: Head,
    /// What follows it.
    pub rest: &'a [u8],
}

impl Wire<'_> {
    /// For arrays that are filled one by one.
    pub const EMPTY: Wire<'static> = Wire {
        head: Head {
            bytes: [0; HEAD_MAX],
            len: HEADER_LEN as u8,
        },
        rest: &[],
    };
}

/// Most bytes in front of those that are not ours.
const HEAD_MAX: usize = HEADER_LEN + vp8::DESCRIPTOR_MAX;

/// The first bytes of a packet, made here; reads as a slice.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    bytes: [u8; HEAD_MAX],
    len: u8,
}

impl std::ops::Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl From<[u8; HEADER_LEN]> for Head {
    fn from(header: [u8; HEADER_LEN]) -> Head {
        let mut head = Wire::EMPTY.head;
        if let Some(place) = head.bytes.first_chunk_mut() {
            *place = header;
        }
        head
    }
}

/// A received packet, typed.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The first byte: version, padding, extension and CSRC count.
    pub first: u8,
    /// The marker bit.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, clock-rate units.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Everything after the fixed header: CSRCs, extension, payload, padding.
    pub rest: &'a [u8],
    /// The payload alone.
    pub payload: &'a [u8],
    /// The datagram.
    pub bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Types a datagram; `None` when it is no RTP.
    pub fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let packet = RtpPacket::parse(bytes).ok()?;
        let (first, rest) = (*bytes.first()?, bytes.get(HEADER_LEN..)?);
        let start = packet.payload_offset();
        let payload = bytes.get(start..start.checked_add(packet.payload_len())?)?;
        Some(Packet {
            first,
            marker: packet.marker_bit(),
            payload_type: packet.payload_type(),
            sequence: packet.sequence_number(),
            timestamp: packet.timestamp(),
            ssrc: packet.ssrc(),
            rest,
            payload,
            bytes,
        })
    }
}

/// The fixed header of an outgoing packet.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// The first byte; [`PLAIN`] for a packet of ours.
    pub first: u8,
    /// The marker bit.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// First byte of a packet without padding, extension and CSRCs.
pub const PLAIN: u8 = 0x80;

impl Header {
    /// On the wire, with a payload descriptor where there is one.
    pub fn head(self, descriptor: Option<vp8::Descriptor>) -> Head {
        let mut head = Head::from(self.to_bytes());
        if let Some((bytes, len)) = descriptor.map(vp8::Descriptor::to_bytes)
            && let Some(place) = head.bytes.last_chunk_mut()
        {
            *place = bytes;
            head.len = head.len.saturating_add(len);
        }
        head
    }

    /// On the wire.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = self.ssrc.to_be_bytes();
        let second = (self.payload_type & 0x7f) | (u8::from(self.marker) << 7);
        [self.first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3]
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_as_written() {
        let header = Header {
            first: PLAIN,
            marker: true,
            payload_type: 96,
            sequence: 65_535,
            timestamp: 0xdead_beef,
            ssrc: 7,
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend_from_slice(b"payload");
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.marker);
        assert_eq!(
            (packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc),
            (96, 65_535, 0xdead_beef, 7)
        );
        assert_eq!(packet.payload, b"payload");
    }

    #[test]
    fn extension_and_padding_are_no_payload() {
        let mut bytes = vec![0xb0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        bytes.extend_from_slice(b"hi\x00\x02");
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.payload, b"hi");
        assert_eq!(packet.rest.len(), bytes.len() - HEADER_LEN);
    }

    #[test]
    fn anything_else_is_no_rtp() {
        assert!(Packet::parse(b"").is_none());
        assert!(Packet::parse(b"INVITE sip:b@x SIP/2.0").is_none());
        assert!(Packet::parse(&[0xbf; 12]).is_none());
    }
}
