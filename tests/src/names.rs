//! A name server on loopback: says what a zone of the test says, counts what it is asked.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use simple_dns::{
    CLASS, CharacterString, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE,
    rdata::{A, AAAA, CNAME, NAPTR, RData, SRV},
};

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers.
    Answers,
    /// Says nothing.
    Silent,
    /// SERVFAIL.
    Fails,
    /// A forged answer (of another id) before the right one, which is cut: the whole comes by TCP.
    Cut,
}

/// The records of a test, by name and type.
#[derive(Debug, Clone, Default)]
pub struct Zone(BTreeMap<(String, u16), Vec<RData<'static>>>);

impl Zone {
    fn with(mut self, name: &str, kind: TYPE, record: RData<'static>) -> Zone {
        self.0.entry((name.to_owned(), kind.into())).or_default().push(record);
        self
    }

    /// A or AAAA.
    pub fn host(self, name: &str, ip: IpAddr) -> Zone {
        match ip {
            IpAddr::V4(ip) => self.with(name, TYPE::A, RData::A(A { address: ip.into() })),
            IpAddr::V6(ip) => self.with(name, TYPE::AAAA, RData::AAAA(AAAA { address: ip.into() })),
        }
    }

    /// An alias.
    pub fn alias(self, name: &str, of: &str) -> Zone {
        self.with(name, TYPE::CNAME, RData::CNAME(CNAME(owned(of))))
    }

    /// SRV: priority, weight, port and target.
    pub fn srv(self, name: &str, (priority, weight, port): (u16, u16, u16), target: &str) -> Zone {
        let srv = SRV {
            priority,
            weight,
            port,
            target: owned(target),
        };
        self.with(name, TYPE::SRV, RData::SRV(srv))
    }

    /// NAPTR that leads to an SRV name.
    pub fn naptr(self, name: &str, order: u16, services: &'static str, replacement: &str) -> Zone {
        let text = |text: &'static str| CharacterString::new(text.as_bytes()).expect("a short text");
        let naptr = NAPTR {
            order,
            preference: 10,
            flags: text("s"),
            services: text(services),
            regexp: text(""),
            replacement: owned(replacement),
        };
        self.with(name, TYPE::NAPTR, RData::NAPTR(naptr))
    }

    /// The reply to a query, with the bits that `flags` sets.
    fn reply(&self, query: &[u8], manner: Manner) -> Option<(String, Vec<u8>)> {
        let query = Packet::parse(query).ok()?;
        let question = query.questions.first()?.clone().into_owned();
        let name = question.qname.to_string();
        let QTYPE::TYPE(kind) = question.qtype else { return None };
        let asked = format!("{kind:?} {name}");
        let mut reply = Packet::new_reply(query.id());
        reply.questions.push(question);
        let mut owner = name.clone();
        if let Some([RData::CNAME(target)]) = self.0.get(&(owner.clone(), TYPE::CNAME.into())).map(Vec::as_slice) {
            let alias = RData::CNAME(target.clone());
            reply
                .answers
                .push(ResourceRecord::new(owned(&owner), CLASS::IN, 60, alias));
            owner = target.0.to_string();
        }
        let records = self.0.get(&(owner.clone(), kind.into())).cloned().unwrap_or_default();
        for record in records {
            reply
                .answers
                .push(ResourceRecord::new(owned(&owner), CLASS::IN, 60, record));
        }
        if !self.0.keys().any(|(known, _)| *known == name) {
            *reply.rcode_mut() = RCODE::NameError;
        }
        if manner == Manner::Fails {
            *reply.rcode_mut() = RCODE::ServerFailure;
            reply.answers.clear();
        }
        if manner == Manner::Cut {
            reply.set_flags(PacketFlag::TRUNCATION);
            reply.answers.clear();
        }
        Some((asked, reply.build_bytes_vec().ok()?))
    }
}

fn owned(name: &str) -> Name<'static> {
    Name::new(name).expect("a name").into_owned()
}

/// The server; it stops when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl NameServer {
    /// Serves a zone by UDP and TCP on a free port of 127.0.0.1.
    pub fn start(zone: Zone, manner: Manner) -> NameServer {
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("a port for a name server");
        let at = udp.local_addr().expect("its address");
        udp.set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a time limit");
        tcp.set_nonblocking(true).expect("a listener that does not wait");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let by_udp = {
            let (zone, asked, stop) = (zone.clone(), Arc::clone(&asked), Arc::clone(&stop));
            std::thread::spawn(move || serve_udp(&udp, &zone, manner, &asked, &stop))
        };
        let by_tcp = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || serve_tcp(&tcp, &zone, &stop))
        };
        NameServer {
            at,
            asked,
            stop,
            threads: vec![by_udp, by_tcp],
        }
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// What it was asked so far by UDP, `TYPE name`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, zone: &Zone, manner: Manner, asked: &Mutex<Vec<String>>, stop: &AtomicBool) {
    let mut buffer = [0; 2_048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let query = buffer.get(..len).unwrap_or_default();
        let Some((what, reply)) = zone.reply(query, manner) else {
            continue;
        };
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        if manner == Manner::Cut {
            let mut forged = reply.clone();
            if let Some(id) = forged.first_mut() {
                *id ^= 0xff;
            }
            let _ = socket.send_to(&forged, from);
        }
        if manner != Manner::Silent {
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn serve_tcp(listener: &TcpListener, zone: &Zone, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut len = [0; 2];
        if stream.read_exact(&mut len).is_err() {
            continue;
        }
        let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut query).is_err() {
            continue;
        }
        if let Some((_, reply)) = zone.reply(&query, Manner::Answers) {
            let len = u16::try_from(reply.len()).unwrap_or_default().to_be_bytes();
            let _ = stream.write_all(&[&len, reply.as_slice()].concat());
        }
    }
}
