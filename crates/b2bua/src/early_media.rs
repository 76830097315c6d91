//! P-Early-Media as it is written (RFC 5009 §9). What it means is the call's to judge.

use segue_policy::{PEarlyMedia, Profile};
use segue_sdp::Direction;
use segue_sip_wire::Message;

/// The header.
pub(crate) const HEADER: &str = "P-Early-Media";

/// Directions that are read: a description has at most this many m-lines.
const DIRECTIONS_MAX: usize = 10;

/// Whether a caller is told what may flow before the answer: within our trust domain, where it or its profile wants that.
pub(crate) fn is_for(invite: &Message, profile: &Profile) -> bool {
    let asks = || invite.has_token(HEADER, "supported");
    profile.trusted
        && match profile.p_early_media {
            PEarlyMedia::Supported => asks(),
            PEarlyMedia::Always => true,
            PEarlyMedia::Never => false,
        }
}

/// What a message towards the caller's side asks to be let through, for each m-line. "Unrecognized parameters SHALL be silently
/// discarded"; with no direction left it "SHALL NOT be interpreted as an early media authorization request" (§8).
pub(crate) fn asked(message: &Message) -> Option<Vec<Direction>> {
    let params = message.list(HEADER);
    let directions = params.iter().filter_map(|param| direction(param));
    let asked: Vec<Direction> = directions.take(DIRECTIONS_MAX).collect();
    (!asked.is_empty()).then_some(asked)
}

/// The header of a response to the caller; `None` where it is told nothing.
pub(crate) fn told(directions: &[Direction]) -> Option<(&'static str, String)> {
    let words: Vec<&str> = directions.iter().map(|direction| word(*direction)).collect();
    (!words.is_empty()).then(|| (HEADER, words.join(", ")))
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

fn direction(param: &str) -> Option<Direction> {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    [SendRecv, SendOnly, RecvOnly, Inactive]
        .into_iter()
        .find(|direction| word(*direction).eq_ignore_ascii_case(param.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(lines: &str) -> Message {
        let text = format!(
            "INVITE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@192.0.2.2>;tag=a\r\nTo: <sip:bob@192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}\
             Content-Length: 0\r\n\r\n"
        );
        Message::parse_datagram(text.as_bytes()).unwrap()
    }

    #[test]
    fn directions_are_read_in_order_and_what_is_not_known_is_discarded() {
        use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
        for (lines, asked_for) in [
            ("", None),
            ("P-Early-Media:\r\n", None),
            ("P-Early-Media: supported\r\n", None),
            ("P-Early-Media: gated, maybe\r\n", None),
            (
                "P-Early-Media: sendrecv, SendOnly,inactive\r\n",
                Some(vec![SendRecv, SendOnly, Inactive]),
            ),
            ("p-early-media: later, recvonly, gated\r\n", Some(vec![RecvOnly])),
            (
                "P-Early-Media: sendonly\r\nP-Early-Media: inactive\r\n",
                Some(vec![SendOnly, Inactive]),
            ),
        ] {
            assert_eq!(asked(&message(lines)), asked_for, "{lines}");
        }
        let many = format!("P-Early-Media: {}inactive\r\n", "sendonly, ".repeat(200));
        assert_eq!(asked(&message(&many)).unwrap().len(), DIRECTIONS_MAX);
    }

    #[test]
    fn it_is_written_for_each_m_line() {
        use Direction::{Inactive, SendOnly, SendRecv};
        let written = told(&[SendRecv, SendOnly, Inactive]);
        assert_eq!(written, Some((HEADER, "sendrecv, sendonly, inactive".to_owned())));
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn nobody_outside_our_trust_domain_is_told() {
        use PEarlyMedia::{Always, Never, Supported};
        let asks = message("P-Early-Media: supported\r\n");
        let silent = message("");
        for (trusted, p_early_media, told_who_asks, told_who_does_not) in [
            (true, Supported, true, false),
            (true, Always, true, true),
            (true, Never, false, false),
            (false, Supported, false, false),
            (false, Always, false, false),
        ] {
            let profile = Profile {
                trusted,
                p_early_media,
                ..Profile::default()
            };
            assert_eq!(
                (is_for(&asks, &profile), is_for(&silent, &profile)),
                (told_who_asks, told_who_does_not)
            );
        }
    }
}
