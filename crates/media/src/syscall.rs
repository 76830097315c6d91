//! The system calls of the packet path that no safe wrapper offers without allocating: many datagrams a call, and real-time
//! priority. All `unsafe` of this crate is here.
#![allow(unsafe_code)] // recvmmsg, sendmmsg and sched_setscheduler take raw pointers; each block says why its pointers hold.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    ptr,
};

use socket2::SockAddr;

use crate::{path::rtp::Wire, session::BATCH_MAX};

/// Longer datagrams are no RTP that we negotiate; they are counted as bad.
const DATAGRAM_MAX: usize = 2_048;

/// A packet of sound is far shorter; copying a longer one costs what is saved.
const PIECE_MAX: usize = 512;

/// Room for one batch of received datagrams.
pub struct Inbox {
    data: Vec<[u8; DATAGRAM_MAX]>,
    from: Vec<libc::sockaddr_storage>,
    heads: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
}

impl Inbox {
    pub fn new() -> Inbox {
        // SAFETY: sockaddr_storage, mmsghdr and iovec are plain C data for which all zeros is a value.
        let (from, head, part) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Inbox {
            data: vec![[0; DATAGRAM_MAX]; BATCH_MAX],
            from: vec![from; BATCH_MAX],
            heads: vec![head; BATCH_MAX],
            parts: vec![part; BATCH_MAX],
        }
    }

    /// Without room, to stand in for one that is lent out.
    pub fn none() -> Inbox {
        Inbox {
            data: Vec::new(),
            from: Vec::new(),
            heads: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Receives what is there, at most `limit` and [`BATCH_MAX`], without waiting; how many datagrams that is.
    pub fn receive(&mut self, socket: &impl AsRawFd, limit: usize) -> io::Result<usize> {
        let limit = limit.min(self.heads.len());
        let slots = self
            .data
            .iter_mut()
            .zip(&mut self.from)
            .zip(&mut self.parts)
            .zip(&mut self.heads)
            .take(limit);
        for (((data, from), part), head) in slots {
            *part = libc::iovec {
                iov_base: data.as_mut_ptr().cast(),
                iov_len: data.len(),
            };
            head.msg_len = 0;
            let head = &mut head.msg_hdr;
            head.msg_name = ptr::from_mut(from).cast();
            head.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            head.msg_iov = part;
            head.msg_iovlen = 1;
            head.msg_flags = 0;
        }
        // SAFETY: each of the first `limit` heads points to its own address, part and buffer, all in vectors of ours that live and stay where they
        // are during the call; the kernel writes within the lengths given.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.heads.as_mut_ptr(),
                limit as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// The first `count` datagrams received last and where they came from. A cut one is empty.
    pub fn datagrams(&mut self, count: usize) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        self.heads
            .iter()
            .zip(&self.from)
            .zip(&mut self.data)
            .take(count)
            .filter_map(|((head, from), data)| {
                let cut = head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
                let len = if cut { 0 } else { head.msg_len as usize };
                Some((address(from)?, data.get_mut(..len)?))
            })
    }
}

fn address(from: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(from.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel says that it wrote a sockaddr_in, which is smaller than and aligned like the storage.
            let from = unsafe { &*ptr::from_ref(from).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr));
            Some((ip, u16::from_be(from.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, a sockaddr_in6.
            let from = unsafe { &*ptr::from_ref(from).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(from.sin6_addr.s6_addr);
            Some((ip, u16::from_be(from.sin6_port)).into())
        }
        _ => None,
    }
}

/// Sends packets to one peer, without waiting; how many the system took.
///
/// Segmentation offload (`UDP_SEGMENT`) would save a tenth of a video frame's cost, but a capture on this host would then show
/// the frame as one datagram, and a lossy rule of its firewall would drop it whole.
pub fn send(socket: &UdpSocket, to: SocketAddr, packets: &[Wire<'_>]) -> usize {
    if let [only] = packets
        && let Some(sent) = send_one(socket, to, *only)
    {
        return sent;
    }
    let to = SockAddr::from(to);
    let packets = packets.get(..BATCH_MAX).unwrap_or(packets);
    let mut parts = [EMPTY_PART; 2 * BATCH_MAX];
    fill_parts(&mut parts, packets);
    // SAFETY: mmsghdr is plain C data for which all zeros is a value.
    let mut heads: [libc::mmsghdr; BATCH_MAX] = unsafe { std::mem::zeroed() };
    let pairs = parts.as_chunks_mut::<2>().0.iter_mut();
    for ((head, pair), _) in heads.iter_mut().zip(pairs).zip(packets) {
        head.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        head.msg_hdr.msg_namelen = to.len();
        head.msg_hdr.msg_iov = pair.as_mut_ptr();
        head.msg_hdr.msg_iovlen = 2;
    }
    let count = packets.len().min(BATCH_MAX) as libc::c_uint;
    // SAFETY: the first `count` heads point to `to`, their parts and, through them, to the packets; all live until it returns.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            heads.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    usize::try_from(sent).unwrap_or(0)
}

/// Sends one packet in one piece, which is cheaper than to have the system gather it; `None`: it is too long for that.
fn send_one(socket: &UdpSocket, to: SocketAddr, Wire { head, rest }: Wire<'_>) -> Option<usize> {
    let mut packet = [0; PIECE_MAX];
    let length = head.len().saturating_add(rest.len());
    let (before, after) = packet.get_mut(..length)?.split_at_mut_checked(head.len())?;
    before.copy_from_slice(&head);
    after.copy_from_slice(rest);
    // The ports of a leg do not wait.
    Some(socket.send_to(packet.get(..length)?, to).is_ok().into())
}

const EMPTY_PART: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// Two parts a packet: its header and the rest.
fn fill_parts(parts: &mut [libc::iovec; 2 * BATCH_MAX], packets: &[Wire<'_>]) {
    for ([head, rest], wire) in parts.as_chunks_mut::<2>().0.iter_mut().zip(packets) {
        // sendmsg takes mutable pointers by its C signature and only reads through them.
        *head = libc::iovec {
            iov_base: wire.head.as_ptr().cast_mut().cast(),
            iov_len: wire.head.len(),
        };
        *rest = libc::iovec {
            iov_base: wire.rest.as_ptr().cast_mut().cast(),
            iov_len: wire.rest.len(),
        };
    }
}

/// Puts the calling thread into the round-robin real-time class, at its lower end.
///
/// # Errors
/// When the system does not allow it (`CAP_SYS_NICE` or `RLIMIT_RTPRIO`).
pub fn make_realtime() -> io::Result<()> {
    // SAFETY: 0 names the calling thread; the parameter is plain C data that the call only reads.
    let result = unsafe {
        let mut parameter: libc::sched_param = std::mem::zeroed();
        parameter.sched_priority = 10;
        libc::sched_setscheduler(0, libc::SCHED_RR, &parameter)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::path::rtp::HEADER_LEN;

    fn pair() -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        (bind(), bind())
    }

    fn wires(sizes: &[usize]) -> Vec<Wire<'static>> {
        static BYTES: [u8; 1_500] = [7; 1_500];
        let wire = |(n, &size): (usize, &usize)| Wire {
            head: [n as u8; HEADER_LEN].into(),
            rest: &BYTES[..size],
        };
        sizes.iter().enumerate().map(wire).collect()
    }

    #[test]
    fn a_frame_arrives_whole_and_in_order() {
        let (a, b) = pair();
        let sizes = [1_200, 1_200, 10, 300];
        assert_eq!(send(&a, b.local_addr().unwrap(), &wires(&sizes)), sizes.len());
        let mut inbox = Inbox::new();
        let count = inbox.receive(&b, BATCH_MAX).unwrap();
        let got: Vec<_> = inbox
            .datagrams(count)
            .map(|(from, bytes)| {
                assert_eq!(from, a.local_addr().unwrap());
                (bytes[0], bytes.len() - HEADER_LEN)
            })
            .collect();
        assert_eq!(got, [(0, 1_200), (1, 1_200), (2, 10), (3, 300)]);
    }

    #[test]
    fn a_packet_by_itself_arrives_whole_whatever_its_size() {
        let (a, b) = pair();
        let mut inbox = Inbox::new();
        for size in [0, 160, PIECE_MAX - HEADER_LEN, PIECE_MAX - HEADER_LEN + 1, 1_200] {
            assert_eq!(send(&a, b.local_addr().unwrap(), &wires(&[size])), 1);
            let count = inbox.receive(&b, BATCH_MAX).unwrap();
            let got: Vec<_> = inbox.datagrams(count).map(|(_, bytes)| bytes.to_vec()).collect();
            assert_eq!(got, [[&[0; HEADER_LEN][..], &[7; 1_500][..size]].concat()]);
        }
    }

    #[test]
    fn no_more_is_taken_than_asked_for() {
        let (a, b) = pair();
        assert_eq!(send(&a, b.local_addr().unwrap(), &wires(&[1, 2, 3])), 3);
        let mut inbox = Inbox::new();
        assert_eq!(inbox.receive(&b, 2).unwrap(), 2);
        assert_eq!(inbox.datagrams(2).count(), 2);
        assert_eq!(inbox.receive(&b, 2).unwrap(), 1, "the rest is still there");
    }

    #[test]
    fn nothing_there_is_told_without_waiting() {
        let (a, _) = pair();
        assert_eq!(
            Inbox::new().receive(&a, BATCH_MAX).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn a_datagram_too_long_arrives_empty() {
        let (a, b) = pair();
        a.send_to(&[1; DATAGRAM_MAX + 1], b.local_addr().unwrap()).unwrap();
        let mut inbox = Inbox::new();
        let count = inbox.receive(&b, BATCH_MAX).unwrap();
        assert_eq!(
            inbox.datagrams(count).map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(),
            [0]
        );
    }
}
