//! Handsets of other makers, each as it comes: registered, called, held on a clip, bridged, and leaving a message.
//! docs/interop.md says what each of them does.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use segue_tests::{
    handset::{Handset, Make},
    movie::Movie,
    phone::{A, Answers, B, Codecs, Party, Phone, Registrar},
    picture::Colour,
    segue::{Segue, prompts, sample},
    wait::until,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(8);
const CLIP_HZ: u32 = 880;
const PASSWORD: &str = "three-four";

/// An office: phones register, and callers prove who they are.
struct Office {
    segue: Segue,
    folder: tempfile::TempDir,
}

impl Office {
    fn new() -> Office {
        Office::with("")
    }

    /// One whose profile has these keys too.
    fn with(keys: &str) -> Office {
        let folder = tempfile::tempdir().unwrap();
        let profiles = folder.path().join("profiles");
        fs::create_dir_all(&profiles).unwrap();
        // MD5 alone: baresip 1.0 gives up when another algorithm is offered first.
        let profile = format!(
            "name = \"phones\"\nsources = [\"127.0.0.0/8\"]\nregistrar = true\nauth = \"digest\"\n\
             auth_realm = \"office\"\ndigest_algorithms = [\"MD5\"]\n{keys}"
        );
        fs::write(profiles.join("phones.toml"), profile).unwrap();
        let settings = format!("profiles_dir = {profiles:?}\n{}", prompts());
        let segue = Segue::start_with(&folder.path().join("segue"), &settings);
        segue.expect_prompts();
        segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
        Office { segue, folder }
    }

    fn subscribe(&self, user: &str, options: &[&str]) {
        let file = self.folder.path().join("password");
        fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let file = file.to_str().unwrap();
        let mut args = vec!["subscriber", "add", user, "--password-file", file];
        args.extend(options);
        self.segue.cli(&args);
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The softphone of the callee, registered.
    fn callee(&self, video: bool) -> Phone {
        let codecs = if video { Codecs::PCMU_VP8 } else { Codecs::AUDIO_ONLY };
        let registrar = Registrar {
            at: self.segue.sip_udp(),
            password: PASSWORD.to_owned(),
        };
        let phone = Phone::start_at(self.path(), B, Answers::AtOnce, codecs, Some(&registrar));
        phone.expect_logged("200 OK");
        phone
    }
}

/// What everybody expects of a phone: it is called, it calls and meets the clip first, and it leaves a message.
fn works(office: &Office, make: Make, other: &mut Phone) {
    let away = format!("away-{}", make.name());
    office.subscribe(&away, &["--menu", if make.has_video() { "on" } else { "off" }]);
    let server = (office.segue.sip_udp(), PASSWORD);
    let mut phone = Handset::start(office.path(), (make, A), Answers::AtOnce, server, &json!({}));

    // It is called.
    let dialled = other.dial(&office.segue.uri("a"));
    phone.expect("answered", dialled, SOON);
    expect_bridged(&mut phone, other);
    other.hang_up();
    phone.expect("closed", dialled, SOON);

    // It calls, and meets the callee's clip before the callee.
    let dialled = phone.dial(&office.segue.uri("b"));
    phone.expect_hears(CLIP_HZ, SOON);
    if make.has_video() {
        phone.expect_sees(Colour::Green, SOON);
    }
    phone.expect("answered", dialled, SOON);
    expect_bridged(&mut phone, other);
    phone.hang_up();
    phone.expect("closed", dialled, SOON);

    // It leaves a message, and chooses by keys what becomes of it: told by voice and by the picture.
    let dialled = phone.dial(&office.segue.uri(&away));
    phone.expect("answered", dialled, SOON);
    if make.has_video() {
        phone.expect_spoken_to(SOON);
        phone.expect_sees(Colour::Other, SOON);
        phone.press('1');
        phone.expect_sees(Colour::Grey, SOON);
    }
    std::thread::sleep(Duration::from_secs(3));
    if make.has_video() {
        phone.press('#');
        phone.expect_spoken_to(SOON);
        phone.press('9');
        // A key lasts a while.
        std::thread::sleep(Duration::from_millis(600));
    }
    phone.hang_up();
    phone.expect("closed", dialled, SOON);
    let message = until("the message", Duration::from_secs(30), || {
        office.segue.rows(&["message", "list", &away]).pop()
    });
    let (file, _) = office.segue.export(message["id"].as_str().unwrap(), office.path());
    let movie = Movie::decode(&file);
    assert!(movie.sound.share_of(A.tone_hz, 500) > 0.9, "{:?}", movie.sound.tones());
    assert_eq!(
        message["kind"],
        if make.has_video() { "video" } else { "audio" },
        "{message:#}"
    );
    assert_eq!(message["urgent"], make.has_video(), "{message:#}");
    if make.has_video() {
        assert!(movie.share_of(A.colour) > 0.9, "{}", movie.share_of(A.colour));
    }
}

/// Both hear and see each other.
#[track_caller]
fn expect_bridged(phone: &mut Handset, other: &mut Phone) {
    phone.expect_hears(B.tone_hz, SOON);
    other.expect_hears(phone.party().tone_hz, SOON);
    if phone.has_video() {
        // A phone that answered by itself paints when it is told to.
        other.show(B.colour);
        phone.expect_sees(B.colour, SOON);
        other.expect_sees(phone.party().colour, SOON);
    }
}

#[test]
fn each_is_called_calls_and_leaves_a_message() {
    let office = Office::new();
    office.subscribe("a", &[]);
    office.subscribe("b", &["--clip", "green", "--hold", "2s"]);
    let mut other = office.callee(true);
    for make in [Make::Pjsua, Make::Baresip4, Make::Linphone] {
        works(&office, make, &mut other);
    }
    each_does_without_pictures(&office);
}

/// Phones without cameras call each other: each meets the other's clip by its sound, and hears the other.
fn each_does_without_pictures(office: &Office) {
    let clip = ["--clip", "green", "--hold", "1500ms"];
    let server = (office.segue.sip_udp(), PASSWORD);
    let blind = json!({ "video": false });
    let mut phones = [
        (Make::Baresip4, Party { name: "c", ..A }),
        (Make::Linphone, Party { name: "d", ..B }),
    ]
    .map(|(make, party)| {
        office.subscribe(party.name, &clip);
        Handset::start(office.path(), (make, party), Answers::AtOnce, server, &blind)
    });
    for (from, to) in [(0, 1), (1, 0)] {
        let called = phones[to].party();
        let dialled = phones[from].dial(&office.segue.uri(called.name));
        phones[from].expect_hears(CLIP_HZ, SOON);
        phones[from].expect("answered", dialled, SOON);
        phones[from].expect_hears(called.tone_hz, SOON);
        phones[to].expect_hears(phones[from].party().tone_hz, SOON);
        phones[from].hang_up();
        for phone in &phones {
            phone.expect("closed", dialled, SOON);
        }
    }
    let theirs = |call: &Value| {
        ["sip:c@", "sip:d@"]
            .iter()
            .any(|user| call["from"].as_str().is_some_and(|from| from.starts_with(user)))
    };
    let calls = until("both calls to be over", SOON, || {
        let calls = office
            .segue
            .rows(&["call", "list", "--since", "1h"])
            .into_iter()
            .filter(theirs);
        Some(calls.collect::<Vec<_>>()).filter(|calls| calls.len() == 2)
    });
    for call in calls {
        let record = office.segue.cli(&["call", "show", call["id"].as_str().unwrap()]);
        assert_eq!(record["result"], "answered", "{record:#}");
        let legs = record["legs"].as_array().unwrap();
        let media: Vec<&Value> = legs
            .iter()
            .filter_map(|leg| leg["media"].as_array())
            .flatten()
            .collect();
        assert!(
            !media.is_empty() && media.iter().all(|stream| stream["kind"] == "audio"),
            "{media:#?}"
        );
    }
}

/// Phones that know SRTP alone call where nothing else is taken: early media and the bridge, to a phone with RTP.
#[test]
fn each_speaks_srtp() {
    let office = Office::with("srtp = \"require\"\nsrtp_to = \"off\"\n");
    office.subscribe("a", &[]);
    office.subscribe("b", &["--clip", "green", "--hold", "1500ms"]);
    let mut other = office.callee(true);
    for (make, srtp) in [
        (Make::Pjsua, json!("mandatory")),
        (Make::Baresip4, json!("srtp-mand")),
        (Make::Linphone, json!(true)),
    ] {
        let mut phone = Handset::start(
            office.path(),
            (make, A),
            Answers::AtOnce,
            (office.segue.sip_udp(), PASSWORD),
            &json!({ "srtp": srtp }),
        );
        let dialled = phone.dial(&office.segue.uri("b"));
        phone.expect_hears(CLIP_HZ, SOON);
        phone.expect("answered", dialled, SOON);
        phone.expect_hears(B.tone_hz, SOON);
        other.expect_hears(A.tone_hz, SOON);
        if make.has_video() {
            other.show(B.colour);
            phone.expect_sees(B.colour, SOON);
        }
        phone.hang_up();
        phone.expect("closed", dialled, SOON);
    }
}
