//! Session descriptions of the phones.

use std::net::SocketAddr;

/// What a caller offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Audio,
    Video,
    /// A-law and a wide fmtp.
    AlawVideo,
    /// Opus and VP8 alone.
    OpusVp8,
    /// G.722 and no picture.
    G722,
    /// All that a softphone has, the best first.
    Everything,
    /// Nothing that can be played or relayed here.
    Alien,
    /// What can only be relayed.
    Foreign,
    /// No SDP in the INVITE.
    Delayed,
    /// Not SDP.
    Broken,
}

pub fn offer(what: Offer, address: SocketAddr, direction: &str, version: u32) -> Option<String> {
    let ip = address.ip();
    let head = format!("v=0\r\no=- 77 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n");
    let audio = format!(
        "m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na={direction}\r\n"
    );
    let video = format!(
        "m=video 40002 RTP/AVPF 99\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 profile-level-id=42e01f;packetization-mode=1\r\n\
         a=rtcp-fb:99 nack pli\r\na=rtcp-fb:99 ccm fir\r\na={direction}\r\n"
    );
    let opus = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=rtpmap:102 telephone-event/48000\r\na=fmtp:102 0-16\r\n";
    let vp8 = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n";
    Some(match what {
        Offer::OpusVp8 => {
            head + &format!(
                "m=audio 40000 RTP/AVP 111 102\r\n{opus}a={direction}\r\nm=video 40002 RTP/AVPF 96\r\n{vp8}a={direction}\r\n"
            )
        }
        Offer::G722 => {
            head + &format!(
                "m=audio 40000 RTP/AVP 9 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
                 a=fmtp:101 0-16\r\na={direction}\r\n"
            )
        }
        Offer::Everything => {
            head + &audio.replace(
                "AVP 0 8 101\r\n",
                &format!("AVP 111 9 0 8 102 101\r\n{opus}a=rtpmap:9 G722/8000\r\n"),
            ) + &video.replace("AVPF 99\r\n", &format!("AVPF 96 99\r\n{vp8}"))
        }
        Offer::Audio => head + &audio,
        Offer::Video => head + &audio + &video,
        Offer::AlawVideo => {
            let alaw = audio
                .replace("0 8 101", "8 101")
                .replace("a=rtpmap:0 PCMU/8000\r\n", "");
            head + &alaw
                + &video
                    .replace("RTP/AVPF", "RTP/AVP")
                    .replace("packetization-mode=1", "packetization-mode=0")
        }
        Offer::Alien => head + "m=audio 40000 RTP/SAVP 96\r\na=rtpmap:96 SPEEX/16000\r\nm=application 9 UDP/BFCP *\r\n",
        Offer::Foreign => {
            head + &format!(
                "m=audio 40000 RTP/AVP 96 18\r\na=rtpmap:96 iLBC/8000\r\na=fmtp:96 octet-align=1\r\na={direction}\r\n"
            )
        }
        Offer::Broken => "v=0\r\nthis is no session description\r\n".to_owned(),
        Offer::Delayed => return None,
    })
}

/// An answer to (or an offer after) what Segue said: each m-line accepted with its first format, video only if wanted.
pub fn answer(offer: &[u8], address: SocketAddr, video: bool, direction: &str, version: u32) -> String {
    let text = std::str::from_utf8(offer).expect("Segue's SDP is text");
    let ip = address.ip();
    let mut out = format!("v=0\r\no=- 88 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n");
    let mut taken: Vec<String> = Vec::new();
    for line in text.split("\r\n") {
        if let Some(media) = line.strip_prefix("m=") {
            let words: Vec<&str> = media.split(' ').collect();
            let live = words[1] != "0" && (words[0] == "audio" || (words[0] == "video" && video));
            taken.clear();
            if live {
                let port = if words[0] == "audio" { 50_000 } else { 50_002 };
                taken = words[3..].iter().map(|w| (*w).to_owned()).collect();
                out += &format!(
                    "m={} {port} {} {}\r\na={direction}\r\n",
                    words[0],
                    words[2],
                    words[3..].join(" ")
                );
            } else {
                out += &format!("m={} 0 {} {}\r\n", words[0], words[2], words[3..].join(" "));
            }
        } else if line.starts_with("a=rtpmap:") || line.starts_with("a=fmtp:") || line.starts_with("a=rtcp-fb:") {
            let number = line
                .split(':')
                .nth(1)
                .and_then(|r| r.split(' ').next())
                .unwrap_or_default();
            if taken.iter().any(|t| t == number) || (number == "*" && !taken.is_empty()) {
                out += &format!("{line}\r\n");
            }
        }
    }
    out
}

/// The same description with mandatory preconditions (RFC 3312), whose local ones are met or not.
pub fn with_resources(sdp: &str, met: bool) -> String {
    let local = if met { "sendrecv" } else { "none" };
    let mut out = String::new();
    for line in sdp.split_inclusive("\r\n") {
        out += line;
        if ["a=sendrecv", "a=sendonly", "a=recvonly"].contains(&line.trim_end()) {
            out += &format!(
                "a=curr:qos local {local}\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
                 a=des:qos mandatory remote sendrecv\r\n"
            );
        }
    }
    out
}
