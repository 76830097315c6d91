//! A small office as its people see it: each page with what an ordinary day leaves there. `make pictures` keeps what is seen
//! (docs/pictures).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use segue_mailbox::{Keeping, Kind, MediaState, Message};
use segue_records::{CallRecord, CallResult, UnixMs};
use segue_store::{Deposit, MediaSource, Store};
use segue_tests::{
    desk::{self, at, expect_usable, log_in, pictures},
    page::Page,
    phone::{Answers, Party, Phone, Registrar},
    picture::Colour,
    segue::{Segue, sample},
    wait::until,
};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Whose pages are looked at.
const EMMA: Party = Party {
    name: "emma",
    colour: Colour::Blue,
    tone_hz: 1000,
};
/// Who calls her.
const FARID: Party = Party {
    name: "farid",
    colour: Colour::Red,
    tone_hz: 440,
};

/// Who works here, with their numbers and their hold.
const STAFF: [(&str, &str, &str); 9] = [
    ("anna", "+493023125101", "30s"),
    ("ben", "+493023125102", "6s"),
    ("carla", "+493023125103", "6s"),
    ("david", "+493023125104", "3s"),
    ("emma", "+493023125105", "6s"),
    ("farid", "+493023125106", "6s"),
    ("grace", "+493023125107", "6s"),
    ("hugo", "+493023125108", "8s"),
    ("ines", "+493023125109", "6s"),
];

/// Who calls from outside, from numbers that are kept for films and books: name, address, and the colours of where they sit.
const CALLERS: [(&str, &str, &str, &str); 6] = [
    ("Mara Lindqvist", "+46846500412", "0x27496d", "0xf2b880"),
    ("Tom Becker", "+493023125177", "0x3a5a40", "0xa3b18a"),
    ("Dr. Yuki Sato", "+12025550143", "0x5f0f40", "0xfb8b24"),
    ("Print Shop Kreuzberg", "+493023125190", "0x22223b", "0x9a8c98"),
    ("Lena Hoffmann", "+491713920012", "0x003049", "0xf77f00"),
    ("Paulo Mendes", "+442079460018", "0x1d3557", "0xa8dadc"),
];

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[test]
fn each_page_of_a_small_office_is_usable_and_shows_its_day() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Segue::start(&folder.path().join("provider"));
    let secret = folder.path().join("secret");
    fs::write(&secret, "whsec_c2VndWUtcGljdHVyZXMtb25seS0wMDAwMDAwMDA=\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let segue = desk::office(
        folder.path(),
        &format!("[webhook]\nsecret_file = {secret:?}\n[overload]\ncalls_max = 40\nearly_max = 20\n"),
    );
    staff(&segue, folder.path());
    emmas_wishes(&segue, folder.path());
    a_day(&segue);
    let films = films(folder.path());
    messages(&segue, &films);
    let next = provider.sip_udp().to_string();
    segue.cli(&["trunk", "add", "northtel", "--address", &next, "--calls-max", "30"]);
    segue.cli(&[
        "trunk",
        "add",
        "backup",
        "--address",
        "127.0.0.1:9",
        "--calls-max",
        "10",
    ]);
    segue.cli(&["admin", "create", "nora"]);
    for (label, scope) in [
        ("desk lamp", "messages:read"),
        ("archive every Friday", "messages:write"),
    ] {
        segue.cli(&["token", "create", "emma", "--label", label, "--scope", scope]);
    }

    let registrar = Registrar {
        at: segue.sip_udp(),
        password: desk::PASSWORD.to_owned(),
    };
    let mut emma = Phone::start_registered(folder.path(), EMMA, Answers::OnCommand, &registrar);
    let mut farid = Phone::start_registered(folder.path(), FARID, Answers::OnCommand, &registrar);

    // A call of today: held, put through, talked and ended.
    let dialled = farid.dial(&segue.uri("emma"));
    emma.expect_called(dialled, Duration::from_secs(20));
    emma.answer();
    emma.expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(5));
    std::thread::sleep(Duration::from_secs(5));
    farid.hang_up();

    let mut page = Page::open(folder.path());
    page.goto(&at(&segue, "/login"));
    page.wait_for("#password");
    see(&mut page, "login", false);
    as_emma(&mut page, &segue);
    page.forget();
    farid.dial(&segue.uri("anna"));
    as_operator(&mut page, &segue);
    farid.hang_up();
}

fn as_emma(page: &mut Page, segue: &Segue) {
    log_in(page, segue, &["subscriber", "link", "emma"]);
    page.wait_for("#messages li video");
    page.run("(() => { const v = document.querySelector('video'); v.muted = true; v.play(); })()");
    page.wait_until("document.querySelector('video').currentTime > 1.2");
    page.run("document.querySelector('video').pause()");
    see(page, "mailbox", true);
    page.goto(&at(segue, "/clips"));
    page.wait_for("text=welcome");
    see(page, "clips", false);
    page.goto(&at(segue, "/settings"));
    page.fill("#from", CALLERS[3].1);
    page.click("text=Try");
    page.wait_for(".probed");
    see(page, "settings", true);
    page.goto(&at(segue, "/settings/tokens"));
    page.wait_for("h1");
    see(page, "tokens", false);
    page.goto(&at(segue, "/settings/notices"));
    page.wait_for("h1");
    see(page, "notices-of-a-subscriber", false);
}

fn as_operator(page: &mut Page, segue: &Segue) {
    log_in(page, segue, &["admin", "link", "nora"]);
    page.goto(&at(segue, "/operator/calls"));
    page.wait_for("#live tbody tr >> text=holding");
    page.wait_until("document.querySelector('#live progress').value > 3000");
    see(page, "calls", true);
    page.click("#ended tbody a");
    page.wait_for("svg.timeline");
    page.wait_for("nav [aria-current] >> text=Calls");
    assert!(page.texts("svg.timeline .source text").contains(&"callee".to_owned()));
    // The ladder ends below the window.
    see_all(page, "call");
    for name in [
        "system",
        "subscribers",
        "groups",
        "trunks",
        "load",
        "notices",
        "profiles",
        "audit",
    ] {
        assert_eq!(page.goto(&at(segue, &format!("/operator/{name}"))), 200);
        page.wait_for("h1");
        see(page, name, false);
    }
}

/// Everybody can use it; and it is kept, where pictures are wanted: `in_all_ways` dark and on a telephone, too.
#[track_caller]
fn see(page: &mut Page, name: &str, in_all_ways: bool) {
    look(page, name, in_all_ways, false);
}

/// The folders of this run would be others in each picture: they are shown as those of the package.
const AS_INSTALLED: &str = r"(() => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const text = walk.currentNode;
        text.data = text.data.replace(/\/tmp\/\.tmp\w+\/profiles/g, '/etc/segue/sip-profiles').replace(/\/tmp\/\.tmp\w+/g, '/var/lib');
    }
})()";

/// The same of a page that is longer than its window, in all ways.
#[track_caller]
fn see_all(page: &mut Page, name: &str) {
    look(page, name, true, true);
}

#[track_caller]
fn look(page: &mut Page, name: &str, in_all_ways: bool, whole: bool) {
    expect_usable(page, name);
    let Some(folder) = pictures() else { return };
    page.run(AS_INSTALLED);
    let shot = |page: &mut Page, name: &str, whole| {
        let file = folder.join(format!("{name}.png"));
        page.shot(&file, whole);
        make_small(&file);
    };
    page.size(1080, 1000);
    shot(page, name, whole);
    if in_all_ways {
        page.scheme("dark");
        shot(page, &format!("{name}-dark"), whole);
        page.size(360, 740);
        page.scheme("light");
        shot(page, &format!("{name}-small"), false);
    }
    page.size(1280, 800);
}

/// A palette is enough for pages: a third of the bytes.
fn make_small(file: &Path) {
    let small = file.with_extension("small.png");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(file)
        .args([
            "-vf",
            "split[a][b];[a]palettegen=max_colors=256:reserve_transparent=0[p];[b][p]paletteuse=dither=none",
        ])
        .args(["-compression_level", "9", "-pred", "none"])
        .arg(&small)
        .status()
        .unwrap();
    assert!(made.success());
    fs::rename(small, file).unwrap();
}

fn staff(segue: &Segue, folder: &Path) {
    let password = desk::password_file(folder);
    segue.cli(&["clip", "add", "welcome", sample("clip.mp4").to_str().unwrap()]);
    segue.cli(&["clip", "add", "away", sample("greeting-spoken.mp4").to_str().unwrap()]);
    for (user, number, hold) in STAFF {
        segue.cli(&[
            "subscriber",
            "add",
            user,
            "--number",
            number,
            "--hold",
            hold,
            "--clip",
            "welcome",
            "--greeting",
            "away",
            "--password-file",
            &password,
        ]);
    }
    segue.cli(&["group", "add", "sales", "--member", "anna", "--member", "emma"]);
    // Her phone is off: callers are held, and nobody rings.
    segue.cli(&["subscriber", "set", "anna", "--target", "sip:anna@127.0.0.1:9"]);
    // Where he wants to be told nobody may be told: a dead letter.
    segue.cli(&[
        "subscriber",
        "set",
        "hugo",
        "--notify",
        "webhook",
        "--webhook",
        "http://10.20.30.40/segue",
    ]);
}

/// Her contacts, rules and limits.
fn emmas_wishes(segue: &Segue, folder: &Path) {
    for (at, (name, number, ..)) in CALLERS.iter().enumerate().take(4) {
        let group = if at == 3 { "suppliers" } else { "customers" };
        segue.cli(&["contact", "add", "emma", number, "--name", name, "--group", group]);
    }
    let film = film(folder, "lake", "0x023e8a", "0xcaf0f8", 6);
    segue.cli(&["clip", "add", "lake", film.to_str().unwrap()]);
    for rule in [
        &["--from", "customers", "--clip", "lake", "--hold", "10s"][..],
        &["--from", "suppliers", "--at", "fri 12:00-18:00", "--then", "greeting"],
        &[
            "--on",
            "2026-12-24..2027-01-01",
            "--then",
            "greeting",
            "--greeting",
            "away",
        ],
        &["--why", "no-answer", "--from", "anonymous", "--message", "no"],
    ] {
        segue.cli(&[&["rule", "add", "emma"], rule].concat());
    }
    segue.cli(&[
        "retention",
        "set",
        "emma",
        "--heard-max",
        "20",
        "--heard-age",
        "30d",
        "--unheard-age",
        "90d",
    ]);
}

/// The calls of a day: more of late than before, most of them answered.
fn a_day(segue: &Segue) {
    let store = Store::open(&segue.data()).unwrap();
    let now = now_ms();
    for n in 0..140_i64 {
        // Twice as dense in the half day that has just been.
        let began =
            now - if n < 100 {
                n * 6 * MINUTE_MS
            } else {
                10 * HOUR_MS + (n - 100) * 20 * MINUTE_MS
            } - 4 * MINUTE_MS;
        let (name, number, ..) = CALLERS[usize::try_from(n * 7 % 6).unwrap()];
        let (result, why) = match n % 9 {
            2 | 6 => (
                CallResult::Message,
                "Nobody answered within 20 s; a message of 14 s was kept.",
            ),
            4 => (
                CallResult::AbandonedWhileHeld,
                "The caller hung up after 3 s of the clip.",
            ),
            7 if n % 2 == 0 => (CallResult::Failed, "The callee's phone could not be reached (408)."),
            _ => (CallResult::Answered, "The callee answered; the caller hung up."),
        };
        let (callee, ..) = STAFF[usize::try_from(n * 5 % 9).unwrap()];
        let record = CallRecord {
            from: format!("sip:{number}@northtel.example"),
            to: format!("sip:{callee}@office.example"),
            answered_at: (result == CallResult::Answered).then_some(UnixMs(began + 9_000)),
            ended_at: Some(UnixMs(began + 20_000 + n % 7 * 41_000)),
            result,
            why: why.to_owned(),
            ..CallRecord::begun(
                format!("01J{:023}", 1000 - n),
                format!("{}-{n}@northtel", name.len()),
                UnixMs(began),
            )
        };
        store.save_call(&record).unwrap();
    }
}

fn messages(segue: &Segue, films: &[PathBuf]) {
    let store = Store::open(&segue.data()).unwrap();
    let now = now_ms();
    for (at, film) in films.iter().enumerate() {
        let id = leave(&store, "emma", at, film);
        match at {
            0..=2 => continue,
            4 => drop(store.pin_message(&id, true, now).unwrap()),
            _ => (),
        }
        store.mark_heard(&id, now - HOUR_MS).unwrap();
    }
    let old = leave(&store, "ben", 5, &films[5]);
    store.delete_message(&old, now).unwrap();
    leave(&store, "hugo", 2, &films[2]);
    until("the dead letter", Duration::from_secs(20), || {
        segue.rows(&["notice", "list", "--dead"]).pop()
    });
}

/// Leaves a message as caller number `at` does: the later callers some days ago.
fn leave(store: &Store, mailbox: &str, at: usize, film: &Path) -> String {
    let (name, number, ..) = CALLERS[at];
    let id = format!("01K{:0>16}{:07}", mailbox.to_uppercase(), 100 - at);
    let before = i64::try_from(at * at).unwrap() * 5 * HOUR_MS + 13 * MINUTE_MS;
    let message = Message {
        id: id.clone(),
        mailbox: mailbox.to_owned(),
        call_id: id.clone(),
        sip_call_id: format!("{id}@northtel"),
        from: format!("sip:{number}@northtel.example"),
        from_name: Some(name.to_owned()),
        received_at_ms: now_ms() - before,
        heard_at_ms: None,
        duration_ms: (4 + at as u64) * 1000,
        kind: Kind::Video,
        media_state: MediaState::Ready,
        bytes: 0,
        interrupted: false,
        urgent: at == 1,
        keeping: Keeping::default(),
    };
    let deposit = Deposit {
        message,
        media: MediaSource::File(film.to_owned()),
        media_type: "video/mp4".to_owned(),
        poster: Some(fs::read(film.with_extension("jpg")).unwrap()),
    };
    store.deposit(deposit).unwrap();
    id
}

/// What callers have filmed of themselves.
fn films(folder: &Path) -> Vec<PathBuf> {
    (4..)
        .zip(CALLERS)
        .map(|(seconds, (name, _, dark, light))| film(folder, &name.replace([' ', '.'], ""), dark, light, seconds))
        .collect()
}

/// Somebody's outline before a wall in the light of an evening, who speaks one tone; beside it a still picture.
fn film(folder: &Path, name: &str, dark: &str, light: &str, seconds: u32) -> PathBuf {
    let (film, still) = (folder.join(format!("{name}.mp4")), folder.join(format!("{name}.jpg")));
    let wall = format!("gradients=s=640x360:c0={dark}:c1={light}:x0=0:y0=0:x1=640:y1=360:speed=0.00001:d=1:r=1");
    let head = "lt(hypot(X-320,Y-150),72)+lt(hypot((X-320)/1.5,Y-390),140)";
    let outline = format!("format=gbrp,geq=r='if({head},38,r(X,Y))':g='if({head},34,g(X,Y))':b='if({head},44,b(X,Y))'");
    ffmpeg(&["-f", "lavfi", "-i", &wall, "-vf", &outline, "-frames:v", "1"], &still);
    let (long, tone) = (seconds.to_string(), format!("sine=frequency=330:duration={seconds}"));
    let picture = still.to_string_lossy().into_owned();
    ffmpeg(
        &[
            "-loop",
            "1",
            "-framerate",
            "25",
            "-i",
            &picture,
            "-f",
            "lavfi",
            "-i",
            &tone,
            "-t",
            &long,
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "libopus",
            "-movflags",
            "+faststart",
        ],
        &film,
    );
    film
}

fn ffmpeg(args: &[&str], to: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(args)
        .arg(to)
        .status()
        .unwrap();
    assert!(made.success(), "{}", to.display());
}
