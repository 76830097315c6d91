//! One question on the wire: UDP from a port of its own, TCP where the answer is cut (RFC 1035 §4.2, RFC 5452 §9).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use rand::{TryRng, rngs::SysRng};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE, rdata::RData};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::{Question, Record};

/// A server is waited for this long, and asked in so many rounds.
const PATIENCE: Duration = Duration::from_millis(1_500);
const ROUNDS: usize = 2;
/// Answers by UDP without EDNS are shorter.
const DATAGRAM_MAX: usize = 4_096;
/// Aliases that are followed within an answer.
const ALIASES_MAX: usize = 8;
/// Records of an answer that are looked at.
const RECORDS_MAX: usize = 64;
/// How long an answer is remembered at least and at most, one that says "nothing" without saying for how long (RFC 2308 §5), and
/// at most.
const KEEP: (u64, u64) = (1, 86_400);
const KEEP_NOTHING: u64 = 30;
const KEEP_NOTHING_MAX: u64 = 300;

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    /// None: there is no such record.
    pub records: Vec<Record>,
    /// For how long that holds.
    pub keep: Duration,
}

/// Asks one server after the other. `None`: nobody answered, or nobody could say.
pub(super) async fn ask(servers: &[SocketAddr], question: &Question) -> Option<Answer> {
    for _ in 0..ROUNDS {
        for server in servers {
            let answered = timeout(PATIENCE, exchange(*server, question)).await;
            match answered {
                Ok(Ok(Some(answer))) => return Some(answer),
                // It cannot say: another may.
                Ok(Ok(None)) => tracing::debug!(%server, name = &**question.name(), "a name server cannot say"),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server is not reached"),
                Err(_) => tracing::debug!(%server, name = &**question.name(), "a name server does not answer"),
            }
        }
    }
    None
}

async fn exchange(server: SocketAddr, question: &Question) -> io::Result<Option<Answer>> {
    // Id and port are what a forged answer must guess.
    let id = u16::try_from(SysRng.try_next_u32().map_err(io::Error::other)? & 0xffff).unwrap_or_default();
    let asked = packet(id, question).map_err(|e| io::Error::other(e.to_string()))?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&asked).await?;
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let len = socket.recv(&mut buffer).await?;
        match read(buffer.get(..len).unwrap_or_default(), id, question) {
            Said::Other => {}
            Said::Cut => return by_tcp(server, &asked, id, question).await,
            Said::Answer(answer) => return Ok(answer),
        }
    }
}

async fn by_tcp(server: SocketAddr, asked: &[u8], id: u16, question: &Question) -> io::Result<Option<Answer>> {
    let mut stream = TcpStream::connect(server).await?;
    let len = u16::try_from(asked.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes(), asked].concat()).await?;
    let len = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(len)];
    stream.read_exact(&mut bytes).await?;
    match read(&bytes, id, question) {
        Said::Answer(answer) => Ok(answer),
        Said::Other | Said::Cut => Ok(None),
    }
}

fn kind(question: &Question) -> TYPE {
    match question {
        Question::Naptr(_) => TYPE::NAPTR,
        Question::Srv(_) => TYPE::SRV,
        Question::A(_) => TYPE::A,
        Question::Aaaa(_) => TYPE::AAAA,
    }
}

fn packet(id: u16, question: &Question) -> simple_dns::Result<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(question.name())?;
    let (kind, class) = (QTYPE::TYPE(kind(question)), QCLASS::CLASS(CLASS::IN));
    packet
        .questions
        .push(simple_dns::Question::new(name, kind, class, false));
    packet.build_bytes_vec()
}

enum Said {
    /// Not to our question.
    Other,
    /// The whole is to be had by TCP.
    Cut,
    /// `None`: the server cannot say.
    Answer(Option<Answer>),
}

fn read(bytes: &[u8], id: u16, question: &Question) -> Said {
    let Ok(packet) = Packet::parse(bytes) else {
        return Said::Other;
    };
    let ours = packet.questions.iter().any(|asked| {
        let same = lower(&asked.qname).eq_ignore_ascii_case(question.name());
        same && asked.qtype == QTYPE::TYPE(kind(question))
    });
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !ours {
        return Said::Other;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Said::Cut;
    }
    if !matches!(packet.rcode(), RCODE::NoError | RCODE::NameError) {
        return Said::Answer(None);
    }
    let mut name = lower(&Name::new_unchecked(question.name()));
    let answers = || packet.answers.iter().take(RECORDS_MAX);
    let mut keep = KEEP.1;
    for _ in 0..ALIASES_MAX {
        let alias = answers().find_map(|record| match &record.rdata {
            RData::CNAME(target) if lower(&record.name) == name => Some((lower(target), record.ttl)),
            _ => None,
        });
        let Some((target, ttl)) = alias else { break };
        keep = keep.min(u64::from(ttl));
        name = target;
    }
    let mut records = Vec::new();
    for answer in answers().filter(|answer| lower(&answer.name) == name) {
        if let Some(record) = record(answer, question) {
            keep = keep.min(u64::from(answer.ttl));
            records.push(record);
        }
    }
    if records.is_empty() {
        let said = packet.name_servers.iter().find_map(|record| match &record.rdata {
            RData::SOA(soa) => Some(u64::from(record.ttl).min(u64::from(soa.minimum))),
            _ => None,
        });
        keep = said.unwrap_or(KEEP_NOTHING).min(KEEP_NOTHING_MAX);
    }
    let keep = Duration::from_secs(keep.max(KEEP.0));
    Said::Answer(Some(Answer { records, keep }))
}

/// The record, if it is of the kind that was asked for.
fn record(answer: &ResourceRecord<'_>, question: &Question) -> Option<Record> {
    let text = |text: &simple_dns::CharacterString<'_>| String::try_from(text.clone()).ok();
    Some(match (&answer.rdata, question) {
        (RData::A(a), Question::A(_)) => Record::Address(Ipv4Addr::from(a.address).into()),
        (RData::AAAA(a), Question::Aaaa(_)) => Record::Address(Ipv6Addr::from(a.address).into()),
        (RData::SRV(srv), Question::Srv(_)) => Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: lower(&srv.target).into(),
        },
        // Only what leads to SRV without rewriting (RFC 3263 §4.1).
        (RData::NAPTR(naptr), Question::Naptr(_)) if text(&naptr.regexp)?.is_empty() => Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags)?,
            service: text(&naptr.services)?,
            replacement: lower(&naptr.replacement).into(),
        },
        _ => return None,
    })
}

/// In lower case, without the last dot.
fn lower(name: &Name<'_>) -> String {
    name.to_string().trim_end_matches('.').to_ascii_lowercase()
}
