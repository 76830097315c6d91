//! What the fuzzer calls with any bytes (docs/fuzzing.md). Each panics when a promise of this crate is broken.

use std::net::{Ipv4Addr, SocketAddr};

use crate::{
    Challenge, Credentials, Frame, Message, MessageBuilder, Method, NameAddr, StreamFramer, Uri, Verdict, Via,
    limits::{HEADERS_MAX, MESSAGE_MAX, PARAMS_MAX, PARTS_MAX},
};

const SOURCE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5060);

/// A datagram: what is accepted reads the same after it was written, can be stamped and answered; what is refused gets an answer
/// that is a response, or none.
pub fn datagram(bytes: &[u8]) {
    match Message::parse_datagram(bytes) {
        Ok(message) => accepted(&message),
        Err(error) => {
            let answer = error.response(SOURCE, "t");
            if let Some(answer) = &answer {
                assert!(answer.status().is_some_and(|status| status >= 400), "an error answer");
                // The rest is copied from what was refused; the answer finds its way by this one.
                assert!(answer.top_via().is_ok(), "an answer that finds its way");
            }
            assert!(
                answer.is_none() || matches!(error.verdict, Verdict::Answer(_)),
                "who is dropped gets no answer"
            );
        }
    }
}

fn accepted(message: &Message) {
    ask_everything(message);
    carried(message);
    let again = Message::parse_datagram(&message.to_bytes()).unwrap_or_else(|error| wrong("written again", &error));
    same(message, &again);
    assert_eq!(again.to_bytes(), message.to_bytes(), "the second writing is the first");
    if !message.is_request() {
        return;
    }
    // A request may be so near the limit that another parameter in its Via is too much.
    if message.to_bytes().len() > MESSAGE_MAX.saturating_sub(1024) || message.all_headers().count() >= HEADERS_MAX {
        return;
    }
    let stamped = message.with_received(SOURCE);
    let vias = (
        message.vias().map(|vias| vias.len()),
        stamped.vias().map(|vias| vias.len()),
    );
    assert!(
        matches!(vias, (Ok(before), Ok(after)) if before == after),
        "no Via is lost or won: {vias:?}"
    );
    assert_eq!(stamped.call_id(), message.call_id());
    let top = stamped
        .top_via()
        .unwrap_or_else(|error| wrong("the stamped Via", &error));
    assert!(
        top.host.ip() == Some(SOURCE.ip()) || top.received() == Some(SOURCE.ip()),
        "responses go where the request came from"
    );
    let response = MessageBuilder::response_to(&stamped, 486, Some("tag")).build();
    let again = Message::parse_datagram(&response.to_bytes()).unwrap_or_else(|error| wrong("our response", &error));
    assert_eq!(again.status(), Some(486));
    assert_eq!(again.call_id(), message.call_id());
    assert!(again.to().is_ok_and(|to| to.tag().is_some()), "a response has a tag");
}

fn same(one: &Message, other: &Message) {
    assert!(one.all_headers().eq(other.all_headers()), "the same header fields");
    assert_eq!(one.body(), other.body(), "the same body");
    assert_eq!((one.method(), one.status()), (other.method(), other.status()));
}

/// What goes along with a session description of ours hides no other: whoever reads that body finds ours, and the same parts.
fn carried(message: &Message) {
    const OURS: &[u8] = b"v=0\r\ns=ours\r\n";
    let parts = message.parts();
    let (content_type, body) = parts.with_sdp(Some(OURS));
    let target = "sip:b@192.0.2.1".parse().unwrap_or_else(|error| wrong("a URI", &error));
    let sent = MessageBuilder::request(&Method::Invite, &target)
        .body(&content_type, body)
        .build();
    if parts.len() < PARTS_MAX {
        assert_eq!(sent.sdp(), Some(OURS), "ours is the session description");
        assert_eq!(sent.parts(), parts, "the same parts");
    }
}

/// Typed access must come to an end, whatever it says.
fn ask_everything(message: &Message) {
    let _ = (
        message.method(),
        message.request_uri(),
        message.status(),
        message.phrase(),
    );
    let _ = (
        message.cseq(),
        message.from(),
        message.to(),
        message.top_via(),
        message.contact(),
    );
    let _ = (
        message.contacts(),
        message.max_forwards(),
        message.rseq(),
        message.rack(),
    );
    let _ = (
        message.content_type(),
        message.sdp(),
        message.routes("Route"),
        message.routes("Record-Route"),
    );
    let _ = (
        message.list("Supported"),
        message.has_token("Require", "100rel"),
        format!("{message:?}"),
    );
}

/// A stream: the first byte is the size of the pieces in which the rest arrives, the second, when 255, repeats the rest until it is
/// more than the framer may hold. Pieces of any size give the same frames, and no more is kept than one message.
pub fn stream(bytes: &[u8]) {
    let [size, repeat, rest @ ..] = bytes else { return };
    if rest.is_empty() {
        return;
    }
    let times = if *repeat == 255 {
        MESSAGE_MAX.saturating_mul(2).div_ceil(rest.len())
    } else {
        1
    };
    let whole = rest.repeat(times);
    let in_pieces = frames(whole.chunks(usize::from(*size).saturating_add(1)));
    // As large as one can come from a socket.
    let at_once = frames(whole.chunks(MESSAGE_MAX));
    assert_eq!(
        in_pieces.len(),
        at_once.len(),
        "as many frames, however the stream was cut"
    );
    for (one, other) in in_pieces.iter().zip(&at_once) {
        match (one, other) {
            (Some(one), Some(other)) => same(one, other),
            (one, other) => assert_eq!(one.is_some(), other.is_some(), "the same frames in the same order"),
        }
    }
}

/// Messages, and `None` for each keep-alive, until the end or until the place of the next is lost.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Option<Message>> {
    let (mut framer, mut frames) = (StreamFramer::new(), Vec::new());
    for piece in pieces {
        let pushed = framer.push(piece);
        assert!(
            pushed.is_ok() || framer.is_broken(),
            "a full buffer ends the connection"
        );
        for turn in 0_usize.. {
            assert!(
                turn <= framer.buffered_bytes().saturating_add(piece.len()),
                "each frame takes bytes away"
            );
            match framer.poll_frame() {
                Ok(Some(Frame::Message(message))) => frames.push(Some(message)),
                Ok(Some(Frame::KeepAlive)) => frames.push(None),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        if framer.is_broken() {
            break;
        }
        assert!(framer.buffered_bytes() <= MESSAGE_MAX, "at most one message is kept");
        let _ = framer.is_partial();
    }
    frames
}

/// A URI, a name-addr and a Via: what is accepted reads the same after it was written.
pub fn uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(uri) = text.parse::<Uri>() {
        let again: Uri = uri
            .to_string()
            .parse()
            .unwrap_or_else(|error| wrong("the URI written again", &error));
        assert_eq!(again, uri);
        assert_eq!(again.to_string(), uri.to_string(), "the second writing is the first");
        assert!(uri.matches(&again) && again.matches(&uri), "a URI matches itself");
        for less in [
            uri.without_params(),
            uri.without_headers(),
            uri.with_param("transport", Some("tcp")),
        ] {
            let written = less.to_string();
            // One that has as many parameters as may be takes no other.
            if less.params().count() > PARAMS_MAX {
                continue;
            }
            assert!(written.parse::<Uri>().is_ok_and(|again| again == less), "{written}");
        }
        let _ = (
            uri.user(),
            uri.user_raw(),
            uri.host(),
            uri.port(),
            uri.params().count(),
            uri.headers(),
        );
    }
    if let Ok(name) = NameAddr::parse(text) {
        let written = name.to_string();
        let again = NameAddr::parse(&written).unwrap_or_else(|error| wrong("the name-addr written again", &error));
        // Control characters do not leave: the display name has spaces for them.
        assert_eq!((&again.uri, &again.params), (&name.uri, &name.params), "{written}");
        assert_eq!(again.to_string(), written, "the second writing is the first");
    }
    if let Ok(via) = Via::parse(text) {
        let written = via.to_string();
        let again = Via::parse(&written).unwrap_or_else(|error| wrong("the Via written again", &error));
        assert_eq!(again, via, "{written}");
    }
}

/// A challenge or credentials: what is accepted reads the same after it was written, and is one header value.
pub fn digest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(challenge) = text.parse::<Challenge>() {
        let written = challenge.to_string();
        assert!(!written.contains(['\r', '\n']), "one header value");
        let again: Challenge = written
            .parse()
            .unwrap_or_else(|error| wrong("the challenge written again", &error));
        assert_eq!(again, challenge, "{written}");
    }
    if let Ok(credentials) = text.parse::<Credentials>() {
        let written = credentials.to_string();
        assert!(!written.contains(['\r', '\n']), "one header value");
        let again: Credentials = written
            .parse()
            .unwrap_or_else(|error| wrong("the credentials written again", &error));
        assert!(again == credentials, "{written}");
    }
}

#[allow(clippy::panic)] // What the fuzzer looks for.
fn wrong(what: &str, error: &impl std::fmt::Display) -> ! {
    panic!("{what} is refused: {error}")
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests read their corpora.
mod tests {
    use std::{fs, path::PathBuf};

    fn folder(path: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// Each file of a folder, in order.
    fn each(path: &str, entry: fn(&[u8])) -> usize {
        let mut files: Vec<_> = fs::read_dir(folder(path))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        for file in &files {
            println!("{}", file.display());
            entry(&fs::read(file).unwrap());
        }
        files.len()
    }

    #[test]
    fn corpus_of_datagrams() {
        assert!(each("../../fuzz/seeds/sip_datagram", super::datagram) > 0);
        assert!(each("tests/rfc4475", super::datagram) >= 49);
    }

    #[test]
    fn corpus_of_streams() {
        assert!(each("../../fuzz/seeds/sip_stream", super::stream) > 0);
        let in_pieces = |bytes: &[u8]| {
            for size in [0, 1, 6, 255] {
                super::stream(&[&[size, 0], bytes].concat());
            }
        };
        assert!(each("tests/rfc4475", in_pieces) >= 49);
    }

    #[test]
    fn corpus_of_digests() {
        assert!(each("../../fuzz/seeds/digest", super::digest) > 0);
    }

    #[test]
    fn corpus_of_uris() {
        assert!(each("../../fuzz/seeds/uri", super::uri) > 0);
    }
}
