//! How soon pages and lists are there, with 10,000 messages in one mailbox and 100,000 in the store: the real router on a real store, asked over
//! loopback as a browser asks, one request at a time. Fails when the slowest of a hundred took longer than 50 ms.
//!
//! `cargo bench -p segue-web --bench pages` (optimised) or `cargo bench --profile dev -p segue-web --bench pages` (quick look). `-- /settings`
//! asks for what begins so alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // No input from outside.

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use fixture::{Browser, Office};
use segue_mailbox::{Keeping, Kind, Limit, MediaState, Message, RenditionProfile};
use segue_policy::{Channel, Notify, Subscriber};
use segue_records::{CallRecord, CallResult, RegistrationRecord, UnixMs};
use segue_store::{Deed, Deposit, MediaSource, NewClip, NewRendition, Role, Store};

/// What there is of everything. The messages of bob are among all.
struct Size {
    name: &'static str,
    messages: u32,
    of_bob: u32,
    subscribers: u32,
    calls: u32,
    deeds: u32,
}

const LARGE: Size = Size {
    name: "large",
    messages: 100_000,
    of_bob: 10_000,
    subscribers: 5_000,
    calls: 100_000,
    deeds: 100_000,
};

/// A hundredth of it, to see what grows.
const SMALL: Size = Size {
    name: "small",
    messages: 1_000,
    of_bob: 100,
    subscribers: 50,
    calls: 1_000,
    deeds: 1_000,
};

/// Of five subscribers so many are told of their messages by mail.
const TOLD: u32 = 2;

const ROUNDS: usize = 200;
const P99_MAX: Duration = Duration::from_millis(50);

/// Asked as bob, who has the large mailbox.
const OF_BOB: [&str; 15] = [
    "/messages",
    "/messages?show=new",
    "/messages?show=trash",
    "/messages?q=ann",
    "/messages?q=zoe",
    "/messages?q=nobody",
    "/messages?cursor=LATE",
    "/clips",
    "/settings",
    "/settings/notices",
    "/api/v1/messages?limit=200",
    "/api/v1/messages?pinned=true",
    "/api/v1/messages?heard=false",
    "/api/v1/subscribers/bob/retention/preview",
    "/api/v1/audit",
];

/// Asked as an operator.
const OF_ROOT: [&str; 35] = [
    "/messages",
    "/messages?show=new",
    "/messages?show=trash",
    "/messages?q=zoe",
    "/messages?q=nobody",
    "/messages?mailbox=bob",
    "/messages?mailbox=bob&q=nobody",
    "/clips",
    "/settings?user=bob",
    "/settings/notices?user=bob",
    "/operator/calls",
    "/operator/calls?q=nobody",
    "/operator/calls/CALL",
    "/operator/system",
    "/operator/subscribers",
    "/operator/subscribers?q=nobody",
    "/operator/load",
    "/operator/notices",
    "/operator/notices?state=dead",
    "/operator/notices?state=waiting&user=bob",
    "/operator/audit",
    "/operator/audit?name=bob",
    "/operator/profiles",
    "/api/v1/messages",
    "/api/v1/calls",
    "/api/v1/calls?q=nobody",
    "/api/v1/clips",
    "/api/v1/subscribers",
    "/api/v1/registrations?user=bob",
    "/api/v1/registrations",
    "/api/v1/notices",
    "/api/v1/notice-counts",
    "/api/v1/audit",
    "/api/v1/storage",
    "/health",
];

fn main() {
    // `cargo test --benches` runs this too, without the flag: nothing to test here.
    let mut args = std::env::args().skip(1);
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let asked = args.find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let slow = runtime.block_on(async {
        let (small, large) = (fill(&SMALL).await, fill(&LARGE).await);
        measure(&small, &large, &asked).await
    });
    assert!(
        slow.is_empty(),
        "of these the slowest of a hundred takes longer than {P99_MAX:?}: {}",
        slow.join(", ")
    );
}

async fn fill(size: &Size) -> Office {
    let began = Instant::now();
    let office = Office::open().await;
    let store = office.store.clone();
    let (messages, of_bob) = (size.messages, size.of_bob);
    fill_subscribers(&store, size);
    fill_later(&store, size);
    // Several share a commit.
    let next = std::sync::atomic::AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if n >= messages {
                        break;
                    }
                    store.deposit(deposit(n, size)).unwrap();
                    let (id, now) = (message_id(n), fixture::now());
                    // Of bob's, too, some of each.
                    match (n + n / 10) % 20 {
                        0..10 => drop(store.mark_heard(&id, now).unwrap()),
                        10 => drop(store.delete_message(&id, now).unwrap()),
                        11 => drop(store.pin_message(&id, true, now).unwrap()),
                        _ => {}
                    }
                }
            });
        }
    });
    // What the rules would do is asked of each message.
    store
        .set_retention("bob", 1_700_000_000_000, |own| {
            own.heard_max = Limit::At(20_000);
            own.heard_age_ms = Limit::At(400 * 86_400_000);
            own.unheard_age_ms = Limit::At(800 * 86_400_000);
        })
        .unwrap();
    settle_notices(&store);
    let totals = store.totals().unwrap();
    println!(
        "{}: {} messages, {of_bob} of them of bob, {} subscribers, {} calls, {} deeds; {} MB; filled in {:.0?}",
        size.name,
        totals.messages + totals.trash,
        totals.subscribers,
        totals.calls,
        size.deeds,
        store.space().unwrap().used_bytes / 1_000_000,
        began.elapsed()
    );
    office
}

fn user(n: u32) -> String {
    format!("user{n:05}")
}

fn fill_subscribers(store: &Store, size: &Size) {
    let told = Notify {
        by: vec![Channel::Mail],
        mail: Some("b@example.org".to_owned()),
        ..Notify::default()
    };
    for n in 0..60 {
        store.put_clip(clip(&format!("clip{n:02}"))).unwrap();
    }
    let new = (0..size.subscribers).map(|n| segue_store::NewSubscriber {
        subscriber: Subscriber {
            user: user(n),
            targets: vec!["registered".to_owned(), format!("sip:{n}@192.0.2.1")],
            numbers: vec![format!("+4930{n:06}")],
            aliases: vec![format!("sip:alias{n}@example.org")],
            clip: Some(format!("clip{:02}", n % 3)),
            notify: if n % 5 < TOLD { told.clone() } else { Notify::default() },
            ..Subscriber::default()
        },
        secrets: None,
        pin: None,
    });
    store
        .add_subscribers(new.collect())
        .map_err(|(_, error)| error)
        .unwrap();
    let until = UnixMs(fixture::now() + 86_400_000);
    let phones = (0..size.subscribers).map(|n| (user(n), vec![phone(n, until)]));
    store.save_registrations(phones.collect()).unwrap();
}

fn clip(name: &str) -> NewClip {
    let rendition = |profile| NewRendition {
        profile,
        profile_level_id: None,
        cache: vec![1; 100],
    };
    NewClip {
        name: name.to_owned(),
        duration_ms: 10_000,
        renditions: [RenditionProfile::Pcmu, RenditionProfile::Opus].map(rendition).into(),
        poster: None,
    }
}

fn phone(n: u32, expires_at: UnixMs) -> RegistrationRecord {
    RegistrationRecord {
        user: user(n),
        contact: format!("sip:{}@198.51.100.7:{}", user(n), 5_060 + n),
        q: 1_000,
        expires_at,
        sip_call_id: format!("reg-{n}@198.51.100.7"),
        cseq: 1,
        instance: None,
        reg_id: None,
        path: Vec::new(),
        user_agent: Some("Phone 1.0".to_owned()),
        transport: "udp".to_owned(),
        local: "192.0.2.1:5060".to_owned(),
        source: "198.51.100.7:5060".to_owned(),
        by_source: false,
    }
}

/// Records of calls and the audit, which nobody waits for.
fn fill_later(store: &Store, size: &Size) {
    let now = fixture::now();
    for n in 0..size.calls {
        let record = call(n, now - i64::from(size.calls - n) * 1_000);
        while store.save_call_later(&record, |saved| saved.unwrap()).is_err() {
            store.flush().unwrap();
        }
    }
    for n in 0..size.deeds {
        let deed = Deed {
            name: "root".to_owned(),
            role: Role::Operator,
            by: "session".to_owned(),
            source: "127.0.0.1".to_owned(),
            what: "subscriber.change".to_owned(),
            object: user(n % size.subscribers),
            owner: Some(if n.is_multiple_of(1_000) {
                "bob".to_owned()
            } else {
                user(n % size.subscribers)
            }),
            detail: String::new(),
        };
        while store.put_down_later(deed.clone()).is_err() {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
}

fn call(n: u32, at: i64) -> CallRecord {
    let mut record = CallRecord::begun(call_id(n), format!("{n}@192.0.2.9"), UnixMs(at));
    record.from = format!("sip:caller{}@example.org", n % 500);
    record.to = format!("sip:{}@example.com", user(n % 5_000));
    record.result = CallResult::Answered;
    record.why = "the callee hung up after a while".to_owned();
    record.ended_at = Some(UnixMs(at + 90_000));
    record
}

fn call_id(n: u32) -> String {
    format!("01J{n:023}")
}

fn message_id(n: u32) -> String {
    format!("01K{n:023}")
}

fn deposit(n: u32, size: &Size) -> Deposit {
    let tenth = size.messages / size.of_bob;
    let mailbox = match n % tenth {
        0 => "bob".to_owned(),
        _ => user(n % size.subscribers),
    };
    // Somebody who called once in a thousand times, long ago.
    let is_zoe = n.is_multiple_of(1_000) && n < size.messages / 2;
    let caller = if is_zoe {
        "zoe".to_owned()
    } else {
        format!("ann{}", n % 700)
    };
    Deposit {
        message: Message {
            id: message_id(n),
            mailbox,
            call_id: call_id(n),
            sip_call_id: format!("{n}@192.0.2.9"),
            from: format!("sip:{caller}@example.org"),
            from_name: Some(format!("Frau {caller}")),
            received_at_ms: fixture::now() - i64::from(size.messages - n) * 60_000,
            heard_at_ms: None,
            duration_ms: 10_000,
            kind: if n.is_multiple_of(7) { Kind::Audio } else { Kind::Video },
            media_state: MediaState::Ready,
            bytes: 0,
            interrupted: false,
            urgent: n.is_multiple_of(50),
            keeping: Keeping::default(),
        },
        media: MediaSource::Bytes(b"media".to_vec()),
        media_type: "video/mp4".to_owned(),
        poster: None,
    }
}

/// Some were delivered and some given up; most wait.
fn settle_notices(store: &Store) {
    let now = fixture::now() + 1_000;
    for round in 0..4 {
        for due in store.claim_notices(Channel::Mail, &[], 500, now, 1_000).unwrap() {
            let settled = match round {
                0 => store.notice_dead(due.attempt, "550 no such mailbox", now),
                _ => store.notice_sent(due.attempt, "250 ok", now),
            };
            assert!(settled.unwrap());
        }
    }
}

/// Of one request to one office.
struct Figures {
    p50: Duration,
    p99: Duration,
    worst: Duration,
    cpu: Duration,
    bytes: usize,
}

async fn measure(small: &Office, large: &Office, asked: &str) -> Vec<String> {
    let mut slow = Vec::new();
    println!("| asked | by | p50 ms | p99 | worst | CPU ms | kB | CPU, a hundredth stored | ratio |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for (name, paths) in [("bob", &OF_BOB[..]), ("root", &OF_ROOT[..])] {
        let (of_small, of_large) = (small.browser(name).await, large.browser(name).await);
        for path in paths.iter().filter(|path| path.starts_with(asked)) {
            let small = figures(&of_small, &path_of(path, &SMALL)).await;
            let large = figures(&of_large, &path_of(path, &LARGE)).await;
            let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
            println!(
                "| {path} | {name} | {:.1} | {:.1} | {:.1} | {:.2} | {} | {:.2} | {:.1} |",
                ms(large.p50),
                ms(large.p99),
                ms(large.worst),
                ms(large.cpu),
                large.bytes / 1_000,
                ms(small.cpu),
                large.cpu.as_secs_f64() / small.cpu.as_secs_f64()
            );
            if large.p99 > P99_MAX {
                slow.push(format!("{path} of {name} ({:.1} ms)", ms(large.p99)));
            }
        }
    }
    slow
}

/// Past the middle, and a call that there is.
fn path_of(path: &str, size: &Size) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let late = URL_SAFE_NO_PAD.encode(message_id(size.messages / 4));
    path.replace("LATE", &late).replace("CALL", &call_id(size.calls / 2))
}

async fn figures(browser: &Browser, path: &str) -> Figures {
    let mut bytes = 0;
    for _ in 0..5 {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        bytes = answer.body.len();
    }
    let mut times = Vec::new();
    let before = cpu();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let answer = browser.get(path).await;
        times.push(began.elapsed());
        assert_eq!(answer.status, 200);
    }
    let cpu = (cpu() - before) / ROUNDS as u32;
    times.sort_unstable();
    let at = |share: usize| times[(ROUNDS * share / 100).min(ROUNDS - 1)];
    Figures {
        p50: at(50),
        p99: at(99),
        worst: at(100),
        cpu,
        bytes,
    }
}

/// CPU time of this process, asking and answering, from the scheduler's own books.
fn cpu() -> Duration {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let books = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let ns = books.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
        total += ns.unwrap_or(0);
    }
    Duration::from_nanos(total)
}
