//! docs/office.md tried as a new user would: each of its commands is run as it stands, in an empty folder, and then its phones do what
//! the page says of them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use segue_tests::{
    handset::{Handset, Make},
    names::{Manner, NameServer, Zone},
    phone::{Answers, Party},
    picture::Colour,
    segue::{Segue, binary, repository, sample},
    sipp::{Over, Seat, Sipp, free_port},
    wait::until,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(8);
const GREETING_HZ: u32 = 660;
const BEEP_HZ: u32 = 1400;
/// Two of the thirty: who calls, and who is called.
const ANNA: Party = Party {
    name: "201",
    colour: Colour::Red,
    tone_hz: 440,
};
const BEN: Party = Party {
    name: "202",
    colour: Colour::Blue,
    tone_hz: 1000,
};

/// The page's commands, heading by heading: the blocks that say they are for a shell.
fn sections(page: &str) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => {
                let done = block.take().unwrap();
                all.last_mut().expect("a heading before commands").1.push(done);
            }
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, line) => {
                if let Some(heading) = line.strip_prefix("## ") {
                    all.push((heading.to_owned(), Vec::new()));
                }
            }
        }
    }
    all.retain(|(_, blocks)| !blocks.is_empty());
    all
}

/// The office's folder, its server once it runs, and what of the page is still to be done.
struct Office {
    folder: PathBuf,
    port: u16,
    names: String,
    http: String,
    prompts: [PathBuf; 2],
    left: Vec<(String, Vec<String>)>,
    server: Option<Child>,
}

impl Office {
    /// The shell and the server of who follows the page; the addresses are those of this machine.
    fn shell(&self, command: &str) -> Command {
        let page_has = [
            ("192.168.1.10:5060", format!("127.0.0.1:{}", self.port)),
            ("\"192.168.1.10\"", "\"127.0.0.1\"".to_owned()),
            (
                "/usr/share/doc/segue/sip-profiles",
                repository().join("sip-profiles/examples").display().to_string(),
            ),
            ("/var/lib/segue", self.folder.join("data").display().to_string()),
        ];
        let text = page_has
            .iter()
            .fold(command.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours));
        let mut shell = Command::new("bash");
        let path = std::env::var("PATH").unwrap();
        shell
            .args(["-euo", "pipefail", "-c", &text])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", binary().parent().unwrap().display()))
            .env("SEGUE_HTTP_LISTEN", &self.http)
            .env("SEGUE_SIP_NAMESERVERS", &self.names)
            .env("SEGUE_PROMPTS_DIR", &self.prompts[0])
            .env("SEGUE_PROMPTS_PREPARED", &self.prompts[1])
            .stdin(Stdio::null());
        shell
    }

    /// What a command of ours says.
    #[track_caller]
    fn run(&self, command: &str) -> String {
        let output = self.shell(command).output().unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{command}\n{said}\n{}", self.log());
        said
    }

    #[track_caller]
    fn rows(&self, command: &str) -> Vec<Value> {
        serde_json::from_str(&self.run(&format!("{command} --json"))).unwrap()
    }

    /// All commands under the next heading of the page, which must be this one; what they say, block by block.
    #[track_caller]
    fn follow(&mut self, heading: &str) -> Vec<String> {
        let (next, blocks) = self.left.remove(0);
        assert_eq!(next, heading, "the page goes another way than this test");
        let mut said = Vec::new();
        for block in blocks {
            if block == "segue run\n" {
                let log = fs::File::create(self.folder.join("log")).unwrap();
                let mut shell = self.shell("exec segue run --ready-file ready.json");
                shell.stdout(log.try_clone().unwrap()).stderr(log);
                self.server = Some(shell.spawn().unwrap());
                let ready = self.folder.join("ready.json");
                until("the server", SOON, || ready.exists().then_some(()));
            } else {
                said.push(self.run(&block));
            }
        }
        said
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// User and password of each line of the table.
    fn table(&self) -> Vec<(String, String)> {
        let table = fs::read_to_string(self.folder.join("office.csv")).unwrap();
        let cells = table.lines().skip(1).map(|line| {
            let mut cells = line.split(',');
            let mut next = || cells.next().unwrap().to_owned();
            (next(), next())
        });
        cells.collect()
    }

    /// A real phone under one of the table's names.
    fn phone(&self, party: Party, answers: Answers) -> Handset {
        let (_, password) = self.table().into_iter().find(|(user, _)| user == party.name).unwrap();
        let at = ([127, 0, 0, 1], self.port).into();
        Handset::start(&self.folder, (Make::Pjsua, party), answers, (at, &password), &json!({}))
    }

    fn uri(&self, dialled: &str) -> String {
        format!("sip:{dialled}@127.0.0.1:{}", self.port)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// The provider: another Segue, where the office registers, and which knows a mobile phone.
fn provider(folder: &Path, mobile: u16) -> Segue {
    let profiles = folder.join("provider-profiles");
    fs::create_dir_all(&profiles).unwrap();
    let profile = "name = \"customers\"\nsources = [\"127.0.0.0/8\"]\nregistrar = true\nauth_realm = \"provider.example\"\n\
                   domains = [\"provider.example\"]\ncountry_code = \"49\"\n";
    fs::write(profiles.join("customers.toml"), profile).unwrap();
    let provider = Segue::start_with(&folder.join("provider"), &format!("profiles_dir = {profiles:?}\n"));
    let file = folder.join("said-by-the-provider");
    fs::write(&file, "what-the-provider-says").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    provider.cli(&[
        "subscriber",
        "add",
        "office-7",
        "--number",
        "+4930765",
        "--password-file",
        file.to_str().unwrap(),
    ]);
    let target = format!("sip:mobile@127.0.0.1:{mobile}");
    provider.cli(&[
        "subscriber",
        "add",
        "mobile",
        "--number",
        "+4917612345",
        "--target",
        &target,
    ]);
    provider
}

/// A second of a sample: what the page calls "any file".
fn short(name: &str, path: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(sample(name))
        .args(["-t", "1", "-c", "copy"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn from_nothing_to_thirty_phones() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let at = |what: &str| eprintln!("{:5.1} s  {what}", began.elapsed().as_secs_f64());
    let mobile = Sipp::callee(folder.path(), "answer_audio", Over::Udp, 300);
    let provider = provider(folder.path(), mobile.port());
    let zone = Zone::default()
        .srv(
            "_sip._udp.provider.example",
            (1, 1, provider.sip_udp().port()),
            "sip.provider.example",
        )
        .host("sip.provider.example", [127, 0, 0, 1].into());
    let names = NameServer::start(zone, Manner::Answers);
    let own = folder.path().join("office");
    fs::create_dir(&own).unwrap();
    let mut office = Office {
        folder: own,
        port: free_port(Over::Udp),
        names: names.at().to_string(),
        http: format!("127.0.0.1:{}", free_port(Over::Tcp)),
        prompts: [
            repository().join("media/out/prompts"),
            repository().join("target/prompts"),
        ],
        left: sections(&fs::read_to_string(repository().join("docs/office.md")).unwrap()),
        server: None,
    };
    short("greeting.mp4", &office.folder.join("welcome.mp4"));
    short("greeting.mp4", &office.folder.join("sorry.mp4"));
    at("a provider, and a folder with two clips");

    let said = office.follow("Configure");
    assert!(
        said.last().unwrap().contains("no trunk takes emergency calls"),
        "{said:?}"
    );
    office.follow("Clips and greetings");
    at("clips");
    office.follow("Subscribers");
    assert_eq!(office.table().len(), 30);
    at("thirty subscribers");
    let said = office.follow("Cards");
    assert!(
        said[0].contains(&format!("sip:201@127.0.0.1:{}", office.port)),
        "{said:?}"
    );
    assert!(
        fs::read_to_string(office.folder.join("cards/230.svg"))
            .unwrap()
            .contains("<svg")
    );
    at("thirty cards");
    let said = office.follow("The outside line");
    assert!(!said[0].contains("warning"), "{said:?}");
    let said = office.follow("Start");
    assert!(said[0].contains("registered"), "{said:?}");
    at("the server runs and is registered with the provider");

    // SIPp reads the table as it is injected: a line for each phone.
    let mut lines = "SEQUENTIAL\n".to_owned();
    for (user, password) in office.table() {
        lines.push_str(&format!(
            "{user};[authentication username={user} password={password}]\n"
        ));
    }
    let injected = folder.path().join("phones.csv");
    fs::write(&injected, lines).unwrap();
    let server = format!("127.0.0.1:{}", office.port);
    let args = ["-m", "30", "-r", "100", "-inf", injected.to_str().unwrap(), &server];
    let phones = Sipp::seated(
        folder.path(),
        "office",
        "register_from_table",
        Seat::here(Over::Udp, 0),
        &args,
    );
    phones.finish().unwrap();
    until("thirty registrations", SOON, || {
        (office.rows("segue registration list").len() == 30).then_some(())
    });
    at("thirty phones are registered");

    let mut anna = office.phone(ANNA, Answers::OnCommand);
    let mut ben = office.phone(BEN, Answers::AtOnce);
    at("two of them are real");
    let dialled = anna.dial(&office.uri("202"));
    anna.expect_hears(GREETING_HZ, SOON);
    anna.press('#');
    anna.expect("answered", dialled, SOON);
    anna.expect_hears(BEN.tone_hz, SOON);
    ben.expect_hears(ANNA.tone_hz, SOON);
    anna.hang_up();
    anna.expect("closed", dialled, SOON);
    at("201 has met the clip, skipped it, and spoken with 202");

    let dialled = anna.dial(&office.uri("017612345"));
    anna.expect("answered", dialled, SOON);
    anna.hang_up();
    anna.expect("closed", dialled, SOON);
    mobile.finish().unwrap_or_else(|why| panic!("{why}\n{}", office.log()));
    at("201 has called a mobile phone by the provider");
    let refused =
        |row: &Value| row["cause"] == 403 && row["why"].as_str().is_some_and(|why| why.contains("destinations"));
    let before = office.rows("segue call list").into_iter().filter(refused).count();
    anna.dial(&office.uri("00442079460123"));
    until("a call abroad to be refused", SOON, || {
        let now = office.rows("segue call list").into_iter().filter(refused).count();
        (now == before + 1).then_some(())
    });

    let dialled = ben.dial(&office.uri("*78"));
    let closed = ben.expect("closed", dialled, SOON);
    assert_eq!(closed["status"], 200, "{closed}");
    let dialled = anna.dial(&office.uri("202"));
    anna.expect("answered", dialled, SOON);
    anna.expect_hears(GREETING_HZ, SOON);
    // The greeting lasts a second; then it is asked what shall be left.
    std::thread::sleep(Duration::from_millis(1200));
    anna.press('2');
    anna.expect_hears(BEEP_HZ, SOON);
    std::thread::sleep(Duration::from_secs(2));
    anna.hang_up();
    let told = ben.expect_that("mwi", dialled, SOON, |said| {
        said["body"]
            .as_str()
            .is_some_and(|body| body.contains("Messages-Waiting: yes"))
    });
    assert!(told["body"].as_str().unwrap().contains("Voice-Message: 1/0"), "{told}");
    at("202 did not want to be disturbed, and is told of the message that 201 left");
    let said = office.follow("Phones");
    assert!(
        said[0].contains("230") && said[0].contains("sip:202@127.0.0.1"),
        "{said:?}"
    );
    assert!(
        said[1].contains("audio") && said[1].contains("mail"),
        "a message, and its notice: {said:?}"
    );

    let dialled = ben.dial(&office.uri("*97"));
    ben.expect("answered", dialled, SOON);
    // How many there are, then from whom and when: that is skipped.
    std::thread::sleep(Duration::from_secs(3));
    ben.press('1');
    ben.expect_hears(ANNA.tone_hz, Duration::from_secs(20));
    ben.press('7');
    std::thread::sleep(Duration::from_secs(1));
    ben.hang_up();
    ben.expect("closed", dialled, SOON);
    until("the message to be deleted", SOON, || {
        office.rows("segue message list 202").is_empty().then_some(())
    });
    at("202 has collected and deleted it by *97");

    office.follow("One mailbox for several");
    let said = office.follow("Hours and rules");
    assert!(said[0].contains("rule 1 acts"), "{said:?}");
    office.follow("How long messages live");
    office.follow("Backup");
    assert!(
        office.left.is_empty(),
        "commands that nobody has tried: {:?}",
        office.left
    );
    let kept = office.folder.join("backup/segue.db");
    assert!(fs::metadata(kept).unwrap().len() > 0);
    at("groups, rules, retention, a backup");
}
