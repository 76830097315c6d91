//! One run: both parties to their ends, and why if not as written.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use segue_tests::{
    scenario::Scenario,
    segue::repository,
    sipp::{Over, Seat, Sipp, free_port},
    verdict,
    voice::{Do, Voice},
};

use crate::{
    options::Options,
    own::Own,
    server::{Server, own_address},
    sipp_folder,
};

/// The voices' tones, and Segue's beep, Hz.
const CALLER: u32 = 440;
const CALLEE: u32 = 1000;
const BEEP: u32 = 1400;

/// Who is on the other side.
pub enum Callee {
    Plays(Scenario),
    Uncalled(Scenario),
    Nobody,
    None,
}

pub struct Run<'a> {
    pub options: &'a Options,
    pub scenario: Scenario,
    pub callee: Callee,
    pub server: Server,
    pub over: Over,
    pub user: String,
    /// Where the callee listens, if that is settled.
    pub port: Option<u16>,
    logs: PathBuf,
}

/// Plays each caller's scenario by itself, and tells each.
///
/// # Errors
/// How many did not go as written.
pub fn play_all(options: &Options) -> Result<(), String> {
    let scenarios = Scenario::all(&sipp_folder(), "caller")?;
    let mut failed = Vec::new();
    for scenario in &scenarios {
        match play(&scenario.name, options) {
            Ok(told) => println!("pass: {told}"),
            Err(why) => {
                println!("fail: {why}");
                failed.push(short(scenario));
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{} of {}: {}",
            failed.len(),
            scenarios.len(),
            failed.join(", ")
        )),
    }
}

/// Plays a caller's scenario as the options say; how it went.
///
/// # Errors
/// Why it did not go as written.
pub fn play(name: &str, options: &Options) -> Result<String, String> {
    let name = name.strip_prefix("caller/").unwrap_or(name);
    if let Some(callee) = name.strip_prefix("callee/") {
        return Err(format!("{callee} is a callee: SCENARIO=plain CALLEE={callee}"));
    }
    let path = sipp_folder().join(format!("caller/{name}.xml"));
    if !path.exists() {
        return Err(format!(
            "there is no {}: `make sipp` lists what there is",
            path.display()
        ));
    }
    let scenario = Scenario::read(&sipp_folder(), &format!("caller/{name}"))?;
    let over = match options.get("TRANSPORT").unwrap_or("udp") {
        "udp" => Over::Udp,
        "tcp" => Over::Tcp,
        other => return Err(format!("TRANSPORT={other} is neither udp nor tcp")),
    };
    let answer = || Scenario::read(&sipp_folder(), "callee/answer");
    let wanted = options
        .get("CALLEE")
        .or(scenario.play.get("callee").map(String::as_str))
        .unwrap_or("answer");
    let callee = match wanted.strip_prefix("callee/").unwrap_or(wanted) {
        "none" => Callee::None,
        "nobody" => Callee::Nobody,
        "uncalled" => Callee::Uncalled(answer()?),
        name => Callee::Plays(Scenario::read(&sipp_folder(), &format!("callee/{name}"))?),
    };
    let logs = options
        .get("LOGS")
        .map_or_else(|| repository().join("target/sipp"), PathBuf::from);
    let _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    let (server, port) = server(&scenario, &callee, over, options, &logs)?;
    // Who needs no subscriber calls one who is none.
    let needs_nobody = matches!(callee, Callee::None) && !scenario.play.contains_key("target");
    let somebody = if needs_nobody { "nobody" } else { "bob" };
    let user = options.get("USER").or(scenario.play.get("user").map(String::as_str));
    let run = Run {
        options,
        server,
        over,
        user: user.unwrap_or(somebody).to_owned(),
        scenario,
        callee,
        port,
        logs,
    };
    let began = Instant::now();
    let told = run.play()?;
    Ok(format!("{told}, {:.1} s", began.elapsed().as_secs_f32()))
}

/// The server that is played against, and where its callee listens if that is settled: the one that is named or runs here, or
/// one of our own that is as the scenarios need it.
fn server(
    scenario: &Scenario,
    callee: &Callee,
    over: Over,
    options: &Options,
    logs: &Path,
) -> Result<(Server, Option<u16>), String> {
    let port = options
        .number("PORT")?
        .map(|port| u16::try_from(port).map_err(|_| format!("PORT={port} is none")))
        .transpose()?;
    let mut needing = vec![scenario];
    if let Callee::Plays(callee) = callee {
        needing.push(callee);
    }
    let named = ["TARGET", "READY", "DATA"]
        .into_iter()
        .find(|key| options.get(key).is_some());
    let asked = options.get("OWN") == Some("yes");
    if let (true, Some(key)) = (asked, named) {
        return Err(format!("OWN=yes and {key}= exclude each other"));
    }
    if !asked && (named.is_some() || !needing.iter().any(|scenario| scenario.needs_a_server())) {
        return Ok((Server::find(options, over)?, port));
    }
    let port = port.unwrap_or_else(|| free_port(over));
    let own = Own::start(logs, &needing, SocketAddr::from(([127, 0, 0, 1], port)), over)?;
    Ok((Server::own(own, over, options), Some(port)))
}

impl Run<'_> {
    fn play(&self) -> Result<String, String> {
        let ip = own_address(self.server.sip)?;
        let port = self.subscriber(ip)?;
        let logs = &self.logs;
        let patience = Duration::from_secs(self.options.number("LIMIT")?.unwrap_or(40).max(1));
        let limit = patience + Duration::from_secs(60);
        let seat = |port, pause_ms| Seat {
            over: self.over,
            ip,
            port,
            pause_ms,
            limit,
            patience: Some(patience),
        };

        let (mut voices, mut callee) = (Vec::new(), None);
        if let Callee::Plays(scenario) | Callee::Uncalled(scenario) = &self.callee {
            let keys = self.voice(scenario, CALLEE, &mut voices)?;
            let args: Vec<&str> = keys.iter().map(String::as_str).collect();
            let pause = self.pause("CALLEE_PAUSE", scenario, "callee_pause")?;
            let mut sipp = Sipp::seated(logs, "callee", short(scenario), seat(Some(port), pause), &args);
            let by = Instant::now() + Duration::from_secs(5);
            while !sipp.listens() && sipp.ended().is_none() && Instant::now() < by {
                thread::sleep(Duration::from_millis(20));
            }
            if sipp.ended().is_some() {
                return Err(self.told(scenario, &sipp));
            }
            callee = Some((scenario, sipp));
        }

        let keys = self.voice(&self.scenario, CALLER, &mut voices)?;
        let stamp = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
        let call_id = format!("{}-{stamp}-{}@sipp", short(&self.scenario), std::process::id());
        let server = self.server.sip.to_string();
        let dialled = self.scenario.play.get("dials").unwrap_or(&self.user);
        let mut args = vec!["-s", dialled, "-cid_str", &call_id, "-m", "1", "-l", "1"];
        args.extend(keys.iter().map(String::as_str));
        let route = format!(
            "<sip:{server};lr>, <sip:{};transport={};lr>",
            SocketAddr::new(ip, port),
            self.over.word()
        );
        if self.scenario.is_routed {
            args.extend(["-key", "route", &route]);
        }
        // By itself SIPp signs the server's address in place of the Request-URI (RFC 8760 §2.6).
        let signed = format!("{dialled}@{server}");
        if self.scenario.signs {
            args.extend(["-auth_uri", &signed]);
        }
        args.push(&server);
        let pause = self.pause("PAUSE", &self.scenario, "pause")?;
        let caller = Sipp::seated(logs, "caller", short(&self.scenario), seat(None, pause), &args);

        let outcome = self.watch(caller, callee, limit);
        let ended = outcome
            .and_then(|()| voices.into_iter().try_for_each(heard_something))
            .and_then(|()| self.record(&call_id));
        let asked = match &self.server.data {
            Some(data) => format!("segue call list --since 1m --data {}", data.display()),
            None => "segue call list --since 1m".to_owned(),
        };
        match ended {
            Ok(result) => {
                let own = self.server.own.as_ref().map_or("", |_| ", a Segue of the kit's own");
                Ok(format!("{} over {}{own}{result}", self.who(), self.over.word()))
            }
            Err(why) => Err(format!(
                "{why}\nCall-ID {call_id}; what Segue saw: {asked}; what SIPp saw: {}/*/messages.log{}{}",
                logs.display(),
                self.hint(ip, port),
                self.server_hint()
            )),
        }
    }

    /// What the server must have that was not made for it.
    fn server_hint(&self) -> String {
        let callee = match &self.callee {
            Callee::Plays(callee) => Some(callee),
            _ => None,
        };
        let needing = [Some(&self.scenario), callee].into_iter().flatten();
        let needs: Vec<String> = needing
            .filter(|scenario| scenario.needs_a_server())
            .map(Scenario::needs)
            .collect();
        match (&self.server.own, needs.is_empty()) {
            (None, false) => format!(
                "\nthis scenario needs {} ([callee]: where the callee listens; [peer]: the other server); OWN=yes plays it \
                 against a Segue of the kit's own that is so",
                needs.join("; ")
            ),
            _ => String::new(),
        }
    }

    fn who(&self) -> String {
        match &self.callee {
            Callee::Plays(callee) => format!("{} with {}", self.scenario.name, callee.name),
            _ => self.scenario.name.clone(),
        }
    }

    fn pause(&self, option: &str, scenario: &Scenario, key: &str) -> Result<u64, String> {
        // The callee's pause is also named by the caller's scenario, which knows what it wants of it.
        let own = scenario.play.get(key).or_else(|| self.scenario.play.get(key));
        let own = own.map(|value| {
            value
                .parse()
                .map_err(|_| format!("{}: {key}={value} is no number", scenario.name))
        });
        Ok(match self.options.number(option)? {
            Some(pause) => pause,
            None => own.transpose()?.unwrap_or(1_000),
        })
    }

    /// A voice for a scenario that names its port; SIPp's arguments for it.
    fn voice(&self, scenario: &Scenario, hz: u32, voices: &mut Vec<(String, Voice)>) -> Result<Vec<String>, String> {
        if !scenario.speaks {
            return Ok(Vec::new());
        }
        if !self.server.sip.ip().is_loopback() {
            return Err(format!(
                "{} speaks by a voice that this machine alone can hear",
                scenario.name
            ));
        }
        let script = scenario.play.get("says").map_or("speak:30000", String::as_str);
        let voice = Voice::start(hz, &says(script).map_err(|why| format!("{}: {why}", scenario.name))?);
        let keys = ["-key".to_owned(), "audio_port".to_owned(), voice.port().to_string()];
        voices.push((scenario.name.clone(), voice));
        Ok(keys.into())
    }

    /// Both to their ends; the first that fails tells why.
    fn watch(&self, mut caller: Sipp, callee: Option<(&Scenario, Sipp)>, limit: Duration) -> Result<(), String> {
        let until = Instant::now() + limit + Duration::from_secs(5);
        let waited = |sipp: &mut Sipp, name: &str, until: Instant| loop {
            match sipp.ended() {
                Some(status) => return Ok(status.success()),
                None if Instant::now() > until => return Err(format!("{name} did not end")),
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        let Some((scenario, mut callee)) = callee else {
            let well = waited(&mut caller, &self.scenario.name, until)?;
            return if well {
                caller.one_answer()
            } else {
                Err(self.told(&self.scenario, &caller))
            };
        };
        if matches!(self.callee, Callee::Uncalled(_)) {
            let well = waited(&mut caller, &self.scenario.name, until)?;
            return if well {
                callee.was_not_called()
            } else {
                Err(self.told(&self.scenario, &caller))
            };
        }
        // Whoever fails first knows best, unless it only waited in vain.
        loop {
            let (a, b) = (caller.ended(), callee.ended());
            match (a.map(|status| status.success()), b.map(|status| status.success())) {
                (Some(true), Some(true)) => return caller.one_answer(),
                (Some(false), b) => {
                    let both = b == Some(false) && verdict::is_silence(&left(&caller, "errors.log"));
                    return Err(if both {
                        self.told(scenario, &callee)
                    } else {
                        self.told(&self.scenario, &caller)
                    });
                }
                (a, Some(false)) => {
                    let a = a.is_some() || waited(&mut caller, "", Instant::now() + Duration::from_secs(1)).is_ok();
                    let failed = a && caller.ended().is_some_and(|status| !status.success());
                    let better = failed && verdict::is_silence(&left(&callee, "errors.log"));
                    return Err(if better {
                        self.told(&self.scenario, &caller)
                    } else {
                        self.told(scenario, &callee)
                    });
                }
                _ if Instant::now() > until => return Err("it did not end".to_owned()),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn told(&self, scenario: &Scenario, sipp: &Sipp) -> String {
        verdict::reason(scenario, &left(sipp, "errors.log"), &left(sipp, "screen.log"))
    }

    /// What the call record says, where it can be asked and the scenario names a result.
    fn record(&self, call_id: &str) -> Result<String, String> {
        let expected = self.scenario.play.get("result").filter(|_| {
            let asked = self.options.get("CALLEE");
            asked.is_none() || asked == self.scenario.play.get("callee").map(|callee| callee.as_str())
        });
        let (Some(expected), true) = (expected, self.server.data.is_some()) else {
            return Ok(String::new());
        };
        let asked = [
            "wait",
            "call",
            "--sip-call-id",
            call_id,
            "--state",
            "ended",
            "--timeout",
            "20s",
        ];
        let call = self
            .server
            .cli(&asked)
            .map_err(|why| format!("the call is not over in Segue: {why}"))?;
        let result = call["result"].as_str().unwrap_or_default();
        if result != expected {
            return Err(format!(
                "the call record says {result}, not {expected}: {}",
                call["why"]
            ));
        }
        // One of our own is gone with its records.
        if self.server.own.is_some() {
            return Ok(format!(", {result}"));
        }
        Ok(format!(
            ", {result}: segue call show {}",
            call["id"].as_str().unwrap_or_default()
        ))
    }
}

fn short(scenario: &Scenario) -> &str {
    scenario.name.split('/').next_back().unwrap_or_default()
}

fn left(sipp: &Sipp, file: &str) -> String {
    let bytes = fs::read(sipp.folder().join(file)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn heard_something((name, voice): (String, Voice)) -> Result<(), String> {
    match voice.finish().packets.is_empty() {
        true => Err(format!("the voice of {name} heard nothing: no RTP came")),
        false => Ok(()),
    }
}

/// `beep voice pause:700 press:1# speak:2000 silent:500` as a voice does it.
fn says(script: &str) -> Result<Vec<Do>, String> {
    let step = |word: &str| {
        let (what, value) = word.split_once(':').unwrap_or((word, ""));
        let ms = || {
            value
                .parse()
                .map_err(|_| format!("says: {word}: {value:?} is no number of milliseconds"))
        };
        Ok(vec![match what {
            "beep" => Do::WaitForEndOf(BEEP),
            "voice" => Do::WaitForVoice,
            "pause" => Do::Pause(ms()?),
            "speak" => Do::Speak(ms()?),
            "silent" => Do::BeSilent(ms()?),
            "press" if !value.is_empty() => return Ok(value.chars().map(Do::Press).collect()),
            _ => {
                return Err(format!(
                    "says: {word} is none of beep, voice, pause:MS, speak:MS, silent:MS, press:KEYS"
                ));
            }
        }])
    };
    let steps: Result<Vec<Vec<Do>>, String> = script.split_whitespace().map(step).collect();
    Ok(steps?.concat())
}
