//! IPv4 or IPv6, as a `c=` line says it (RFC 8866 §5.7).

use std::net::IpAddr;

use crate::{
    Description,
    description::{Address, MediaLine},
};

/// The family of an address: a stream has the same at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, `IP4`.
    V4,
    /// IPv6, `IP6`.
    V6,
}

impl Family {
    /// Of this address.
    pub fn of(ip: IpAddr) -> Family {
        match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// Its word in SDP.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "IP4",
            Family::V6 => "IP6",
        }
    }
}

impl Description {
    /// Of its first stream that could be relayed and names an address; `None`: none does.
    pub fn family(&self) -> Option<Family> {
        let of = |line: &MediaLine| match line.address {
            Address::Ip(ip) if line.kind().is_some() && line.port != 0 => Some(Family::of(ip)),
            _ => None,
        };
        self.lines.iter().find_map(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(text: &str) -> Option<Family> {
        Description::parse(text.replace('\n', "\r\n").as_bytes())
            .unwrap()
            .family()
    }

    #[test]
    fn the_first_stream_in_use_says_it() {
        let head = "v=0\no=a 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\n";
        assert_eq!(family(&format!("{head}m=audio 4000 RTP/AVP 0\n")), Some(Family::V6));
        let later = "m=audio 0 RTP/AVP 0\nm=video 4002 RTP/AVP 96\nc=IN IP4 192.0.2.1\n";
        assert_eq!(family(&format!("{head}{later}")), Some(Family::V4));
        assert_eq!(family(&format!("{head}m=message 9 TCP/MSRP *\n")), None);
        let held = "v=0\no=a 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 4000 RTP/AVP 0\n";
        assert_eq!(family(held), None);
    }
}
