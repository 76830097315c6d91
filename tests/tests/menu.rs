//! What is chosen by keys, on real sockets: a caller leaves a voice message, hears it again, marks it urgent and sends it; its owner
//! collects it by `*97`, with a password and with a PIN; who guesses PINs is locked out. What each hears is one stream.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, thread};

use segue_tests::{
    movie::Movie,
    segue::{Segue, prompts},
    sipp::{Over, Seat, Sipp},
    voice::{Do, Heard, Voice},
};
use serde_json::Value;

const CALLER: u32 = 440;
const BEEP: u32 = 1400;
/// Louder than this, dB below full scale, is speech.
const SPEECH_DB: f64 = -45.0;

/// Where bob's phone is: who calls from there proves who it is.
const HIS_PHONE: &str = "127.0.0.9";

/// A server that speaks, and the folder of all.
struct House<'a> {
    folder: &'a Path,
    segue: Segue,
}

/// Who calls what, from where and how; hung up after a pause, where the scenario hangs up.
struct Call<'a> {
    id: &'a str,
    scenario: &'a str,
    dialled: &'a str,
    over: Over,
    from: &'a str,
    pause_ms: u64,
    says: Vec<Do>,
}

impl House<'_> {
    fn new(folder: &Path) -> House<'_> {
        let profiles = folder.join("profiles");
        fs::create_dir_all(&profiles).unwrap();
        let anybody: Vec<String> = (1..=8).map(|host| format!("127.0.0.{host}/32")).collect();
        // Their voices are all at 127.0.0.1.
        let codes = "service_codes = [\"*97 -> mailbox\"]\nmedia_from = \"any\"\n";
        let open = format!("name = \"open\"\nsources = {anybody:?}\n{codes}");
        fs::write(profiles.join("open.toml"), open).unwrap();
        // SIPp knows MD5 alone.
        let phones = format!(
            "name = \"phones\"\nsources = [\"{HIS_PHONE}/32\"]\nauth = \"digest\"\nauth_realm = \"office\"\n\
             digest_algorithms = [\"MD5\"]\n{codes}"
        );
        fs::write(profiles.join("phones.toml"), phones).unwrap();
        let settings = format!("profiles_dir = {profiles:?}\n{}", prompts());
        let segue = Segue::start_with(&folder.join("segue"), &settings);
        segue.expect_prompts();
        House { folder, segue }
    }

    /// A file for the command line that nobody else may read.
    fn secret(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What the caller heard, and the call's record.
    fn call(&self, call: Call<'_>) -> (Heard, Value) {
        let voice = Voice::start(CALLER, &call.says);
        let port = voice.port().to_string();
        let server = self.segue.sip(call.over)[0].to_string();
        let signed = format!("{}@{server}", call.dialled);
        let mut args = vec!["-s", call.dialled, "-cid_str", call.id, "-m", "1", "-l", "1"];
        // Its voice is here, wherever it calls from.
        args.extend(["-mi", "127.0.0.1", "-key", "audio_port", &port]);
        // By itself SIPp signs the server's address in place of the Request-URI (RFC 8760 §2.6).
        args.extend(["-auth_uri", &signed, &server]);
        let seat = Seat {
            ip: call.from.parse().unwrap(),
            ..Seat::here(call.over, call.pause_ms)
        };
        let caller = Sipp::seated(&self.folder.join(call.id), "caller", call.scenario, seat, &args);
        caller
            .finish()
            .unwrap_or_else(|why| panic!("{why}: {}", self.segue.log_text()));
        let wait = [
            "wait",
            "call",
            "--sip-call-id",
            call.id,
            "--state",
            "ended",
            "--timeout",
            "20s",
        ];
        let row = self.segue.cli(&wait);
        let record = self.segue.cli(&["call", "show", row["id"].as_str().unwrap()]);
        let heard = voice.finish();
        heard.is_one_stream().unwrap_or_else(|why| panic!("{}: {why}", call.id));
        (heard, record)
    }
}

fn presses(keys: &str) -> Vec<Do> {
    keys.chars().map(Do::Press).collect()
}

/// Number and PIN, each once it is asked for; and until the answer is heard.
fn logs_in_as(number: &str, pin: &str) -> Vec<Do> {
    let asked = |keys: &str| [vec![Do::WaitForVoice], presses(keys)].concat();
    [
        asked(&format!("{number}#")),
        asked(&format!("{pin}#")),
        vec![Do::WaitForVoice],
    ]
    .concat()
}

#[track_caller]
fn is_spoken_to(heard: &Heard, from_ms: u64, length_ms: u64) {
    let level = heard.sound.level_at(from_ms, length_ms);
    assert!(level > SPEECH_DB, "{level} dB");
}

fn tones(heard: &Heard) -> Vec<u32> {
    heard.sound.tones().into_iter().map(|(_, hz)| hz).collect()
}

#[test]
fn a_voice_message_is_heard_again_marked_urgent_sent_and_collected() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path());
    let callee = Sipp::callee_with(folder.path(), "busy", Over::Udp, 0, &[]);
    let target = format!("sip:200@127.0.0.1:{}", callee.port());
    let (password, pin) = (house.secret("password", "sesame"), house.secret("pin", "2580"));
    let secrets = ["--password-file", &password, "--pin-file", &pin];
    let add = ["subscriber", "add", "200", "--target", &target];
    house.segue.cli(&[&add[..], &secrets[..]].concat());
    house.segue.cli(&["subscriber", "add", "300", "--pin-file", &pin]);
    thread::scope(|scope| {
        let guessing = scope.spawn(|| who_guesses_is_locked_out(&house));
        leaves_a_message(&house);
        callee.finish().unwrap_or_else(|why| panic!("{why}"));
        collects_from_its_own_phone(&house);
        collects_by_pin(&house);
        guessing.join().expect("no guess gets in");
    });
}

fn leaves_a_message(house: &House<'_>) {
    let says = [
        Do::WaitForVoice,
        Do::BeSilent(1_000),
        Do::Press('2'),
        Do::WaitForEndOf(BEEP),
        Do::Speak(2_500),
        Do::Press('#'),
        Do::WaitForVoice,
        Do::Press('9'),
        Do::WaitForVoice,
        Do::BeSilent(500),
        Do::Press('2'),
        Do::WaitForEndOf(CALLER),
        Do::WaitForVoice,
        Do::Press('1'),
        Do::BeSilent(6_000),
    ];
    let (heard, record) = house.call(Call {
        id: "menu@test",
        scenario: "speak_until_hung_up_on",
        dialled: "200",
        over: Over::Udp,
        from: "127.0.0.1",
        pause_ms: 0,
        says: says.to_vec(),
    });
    assert_eq!(record["result"], "message", "{record:#}");

    // What A was given to hear, in order.
    let switches = record["switches"].as_array().unwrap();
    let to: Vec<&str> = switches.iter().filter_map(|switch| switch["to"].as_str()).collect();
    assert_eq!(to.first(), Some(&"prompt"), "{record:#}");
    for source in ["beep", "take"] {
        assert!(to.contains(&source), "{to:?}");
    }
    assert_eq!(to.last(), Some(&"prompt"), "{to:?}");
    // The question is there before the key: speech is no tone, and no silence.
    is_spoken_to(&heard, 300, 1_000);
    assert_eq!(tones(&heard), [BEEP, CALLER], "the beep, then its own voice");

    let messages = house.segue.rows(&["message", "list", "200"]);
    assert_eq!(messages.len(), 1, "{messages:?}");
    let message = &messages[0];
    assert_eq!((&message["urgent"], &message["kind"]), (&true.into(), &"audio".into()));
    let (file, _) = house.segue.export(message["id"].as_str().unwrap(), house.folder);
    let sound = Movie::decode(&file).sound;
    assert!(sound.tones().iter().any(|(_, hz)| *hz == CALLER), "{:?}", sound.tones());
}

fn collects_from_its_own_phone(house: &House<'_>) {
    // How many there are is said, then from whom one is and when; a key goes on from each.
    let says = [
        Do::WaitForVoice,
        Do::BeSilent(700),
        Do::Press('1'),
        Do::WaitForVoice,
        Do::Press('1'),
        Do::WaitForEndOf(CALLER),
        Do::Press('9'),
        Do::BeSilent(10_000),
    ];
    let (heard, record) = house.call(Call {
        id: "own@test",
        scenario: "collect",
        dialled: "*97",
        over: Over::Tcp,
        from: HIS_PHONE,
        pause_ms: 7_000,
        says: says.to_vec(),
    });
    is_spoken_to(&heard, 0, 700);
    assert_eq!(tones(&heard), [CALLER], "the message");
    assert_eq!(record["result"], "mailbox", "{record:#}");
    let why = record["why"].as_str().unwrap();
    assert!(
        why.starts_with("200 called their mailbox, heard one message"),
        "{record:#}"
    );
    let messages = house.segue.rows(&["message", "list", "200"]);
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert!(message["heard_at"].is_string(), "{message:#}");
    assert_eq!(message["pinned"], true, "9 keeps it: {message:#}");
}

fn collects_by_pin(house: &House<'_>) {
    let goes_on = [
        Do::Press('1'),
        Do::WaitForVoice,
        Do::Press('1'),
        Do::WaitForEndOf(CALLER),
        Do::Press('7'),
        Do::BeSilent(10_000),
    ];
    let (heard, record) = house.call(Call {
        id: "pin@test",
        scenario: "collect_by_pin",
        dialled: "*97",
        over: Over::Udp,
        from: "127.0.0.2",
        pause_ms: 11_000,
        says: [logs_in_as("200", "2580"), goes_on.to_vec()].concat(),
    });
    is_spoken_to(&heard, 0, 300);
    assert_eq!(tones(&heard), [CALLER], "the message");
    let why = record["why"].as_str().unwrap();
    assert!(
        why.starts_with("200 called their mailbox, deleted one message"),
        "{record:#}"
    );
    assert!(house.segue.rows(&["message", "list", "200"]).is_empty());
    assert!(!house.segue.log_text().contains("2580"));
}

/// Three wrong ones end a call, the fifth locks it: then the right one is not taken either, until it is unlocked.
fn who_guesses_is_locked_out(house: &House<'_>) {
    let tries = |id, from, pins: [&str; 3]| {
        let says: Vec<Do> = pins.iter().flat_map(|pin| logs_in_as("300", pin)).collect();
        let (_, record) = house.call(Call {
            id,
            scenario: "guess_a_pin",
            dialled: "*97",
            over: Over::Udp,
            from,
            pause_ms: 0,
            says,
        });
        let why = record["why"].as_str().unwrap();
        assert!(
            why.starts_with("Somebody who did not prove who they are called their mailbox, gave wrong numbers or PINs"),
            "{record:#}"
        );
        house.segue.cli(&["subscriber", "show", "300"])["pin"].clone()
    };
    // From a place of its own each: a source that guesses has to wait.
    let pin = tries("first@test", "127.0.0.3", ["1111", "2222", "3333"]);
    assert_eq!((&pin["wrong_tries"], &pin["locked_until"]), (&3.into(), &Value::Null));
    let pin = tries("second@test", "127.0.0.4", ["4444", "5555", "2580"]);
    assert_eq!(pin["wrong_tries"], 5, "the right one is not looked at: {pin}");
    assert!(pin["locked_until"].is_string(), "{pin}");
    house.segue.cli(&["subscriber", "unlock", "300"]);
    let (_, record) = house.call(Call {
        id: "third@test",
        scenario: "collect_by_pin",
        dialled: "*97",
        over: Over::Udp,
        from: "127.0.0.5",
        pause_ms: 5_500,
        says: [logs_in_as("300", "2580"), vec![Do::BeSilent(10_000)]].concat(),
    });
    let why = record["why"].as_str().unwrap();
    assert!(why.starts_with("300 called their mailbox"), "{record:#}");
}
