//! What a scenario file of `tests/sipp/` says of itself: its sentence, how it is played, and its steps by SIPp's numbers.

use std::{collections::BTreeMap, fs, path::Path};

/// One scenario file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// `caller/plain`.
    pub name: String,
    /// The first comment: what it does and shows.
    pub sentence: String,
    /// The comment that begins with `play:`, its `key=value` words apart.
    pub play: BTreeMap<String, String>,
    /// The messages in SIPp's numbering, which counts from 0.
    pub steps: Vec<Step>,
    /// Whether it wants a voice at `[audio_port]`.
    pub speaks: bool,
    /// Whether it names the way by `[route]`.
    pub is_routed: bool,
    /// Whether it signs requests with credentials.
    pub signs: bool,
}

/// One element that SIPp counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `send`, `recv`, `pause`, `nop`.
    pub kind: String,
    /// What a `recv` waits for: `200`, `BYE`.
    pub awaits: Option<String>,
    /// Whether it may stay away.
    pub optional: bool,
}

impl Scenario {
    /// Reads `tests/sipp/caller/plain.xml` as `caller/plain`.
    ///
    /// # Errors
    /// The file cannot be read, has no sentence, or its `play:` line is wrong.
    pub fn read(sipp: &Path, name: &str) -> Result<Scenario, String> {
        let path = sipp.join(format!("{name}.xml"));
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Scenario::parse(name, &text).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// All of a role (`caller`, `callee`), by name.
    ///
    /// # Errors
    /// As [`Scenario::read`].
    pub fn all(sipp: &Path, role: &str) -> Result<Vec<Scenario>, String> {
        let folder = sipp.join(role);
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".xml")?.to_owned()))
            .collect();
        names.sort();
        let read = |name: &String| Scenario::read(sipp, &format!("{role}/{name}"));
        names.iter().map(read).collect()
    }

    fn parse(name: &str, text: &str) -> Result<Scenario, String> {
        let (comments, elements) = apart(text);
        let (plays, told): (Vec<&str>, Vec<&str>) =
            comments.into_iter().partition(|comment| comment.starts_with("play:"));
        let sentence = told
            .first()
            .map(|comment| comment.split_whitespace().collect::<Vec<_>>().join(" "))
            .ok_or("its first comment must say what it does and shows")?;
        let play = match plays.first().and_then(|line| line.strip_prefix("play:")) {
            Some(line) => words(line)?,
            None => BTreeMap::new(),
        };
        Ok(Scenario {
            name: name.to_owned(),
            sentence,
            play,
            steps: elements.iter().filter_map(|tag| step(tag)).collect(),
            speaks: text.contains("[audio_port]"),
            is_routed: text.contains("[route]"),
            signs: text.contains("[authentication"),
        })
    }

    /// Whether it needs a server that is not as it comes.
    pub fn needs_a_server(&self) -> bool {
        ["server", "profile", "settings"]
            .iter()
            .any(|key| self.play.contains_key(*key))
    }

    /// What it needs, as the table of the scenarios has it.
    pub fn needs(&self) -> String {
        let said = |key: &str| self.play.get(key).map(String::as_str);
        let mut needs = Vec::new();
        match said("callee") {
            None | Some("none") => {}
            Some("uncalled") => needs.push("a callee that hears nothing".to_owned()),
            Some(callee) => needs.push(format!("`{callee}`")),
        }
        match said("target") {
            Some("itself") => needs.push("a subscriber whose target is this server and itself".to_owned()),
            Some(_) => needs.push(
                "a subscriber whose target is at the other server, and there one whose target is here".to_owned(),
            ),
            None => {}
        }
        if let Some(options) = said("subscriber").filter(|options| *options != "none") {
            needs.push(format!("subscriber `{options}`"));
        }
        if let Some(options) = said("retention") {
            needs.push(format!("`segue retention set` `{options}`"));
        }
        match said("server") {
            Some("pair") => needs.push("two servers".to_owned()),
            Some("draining") => needs.push("a server with a call that has got SIGTERM".to_owned()),
            _ => {}
        }
        for (key, what) in [
            ("profile", "profile"),
            ("file", "file beside it"),
            ("settings", "`segue.toml`"),
        ] {
            needs.extend(said(key).map(|value| format!("{what} `{value}`")));
        }
        if self.speaks {
            needs.push("a voice".to_owned());
        }
        match needs.is_empty() {
            true => "-".to_owned(),
            false => needs.join("; "),
        }
    }

    /// What may come while SIPp waits at this number: the optional ones up to the next that must come.
    pub fn awaited_at(&self, index: usize) -> String {
        let mut may = Vec::new();
        for step in self.steps.iter().skip(index) {
            match &step.awaits {
                Some(what) if step.optional => may.push(what.as_str()),
                Some(what) if may.is_empty() => return what.clone(),
                Some(what) => {
                    may.dedup();
                    return format!("{what} (or before it {})", may.join(", "));
                }
                None => break,
            }
        }
        may.dedup();
        may.join(" or ")
    }
}

/// Comments, trimmed, and the opening tags outside of comments and message texts.
fn apart(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut comments, mut tags) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let (inner, after) = if let Some(comment) = rest.strip_prefix("<!--") {
            let (inner, after) = comment.split_once("-->").unwrap_or((comment, ""));
            comments.push(inner.trim());
            (inner, after)
        } else if let Some(verbatim) = rest.strip_prefix("<![CDATA[") {
            verbatim.split_once("]]>").unwrap_or((verbatim, ""))
        } else {
            let (tag, after) = rest[1..].split_once('>').unwrap_or((rest, ""));
            tags.push(tag);
            (tag, after)
        };
        debug_assert!(inner.len() < rest.len(), "each turn takes something away");
        rest = after;
    }
    (comments, tags)
}

fn step(tag: &str) -> Option<Step> {
    let kind = tag.split([' ', '\n', '\t', '/']).next().unwrap_or_default();
    if !["send", "recv", "pause", "nop", "sendCmd", "recvCmd"].contains(&kind) {
        return None;
    }
    let attribute = |name: &str| {
        let (_, after) = tag.split_once(&format!(" {name}=\""))?;
        Some(after.split('"').next().unwrap_or_default().to_owned())
    };
    Some(Step {
        kind: kind.to_owned(),
        awaits: attribute("response")
            .or_else(|| attribute("request"))
            .filter(|_| kind == "recv"),
        optional: attribute("optional").is_some_and(|value| value != "false"),
    })
}

/// `a=b c="d e"` apart.
fn words(line: &str) -> Result<BTreeMap<String, String>, String> {
    let mut words = BTreeMap::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let wrong = || format!("play: wants key=value or key=\"several words\", not {rest:?}");
        let (key, after) = rest.split_once('=').ok_or_else(wrong)?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if !KEYS.contains(&key) {
            return Err(format!("play: knows {}, not {key}", KEYS.join(", ")));
        }
        words.insert(key.to_owned(), value.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

/// What a `play:` line may say: docs/testing.md explains each.
const KEYS: [&str; 14] = [
    "callee",
    "pause",
    "callee_pause",
    "user",
    "dials",
    "subscriber",
    "target",
    "retention",
    "says",
    "server",
    "profile",
    "file",
    "settings",
    "result",
];

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"<?xml version="1.0"?>
<!-- A calls
     and hangs up. -->
<!-- play: callee=answer pause=800 subscriber="--clip clip --hold 1s" -->
<scenario name="x">
  <send retrans="500"><![CDATA[
    INVITE sip:[service]@x SIP/2.0
    To: <recv response="999"/>
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="183" rrs="true"><action><ereg regexp="a>b"/></action></recv>
  <Reference variables="x"/>
  <label id="1"/>
  <pause/>
  <recv request="BYE" timeout="30000"/>
</scenario>"#;

    #[test]
    fn a_scenario_tells_its_sentence_and_how_it_is_played() {
        let scenario = Scenario::parse("caller/x", TEXT).unwrap();
        assert_eq!(scenario.sentence, "A calls and hangs up.");
        assert_eq!(scenario.play["subscriber"], "--clip clip --hold 1s");
        assert_eq!(scenario.play["pause"], "800");
        assert!(!scenario.speaks);
    }

    #[test]
    fn steps_have_the_numbers_that_sipp_gives() {
        let scenario = Scenario::parse("caller/x", TEXT).unwrap();
        let kinds: Vec<&str> = scenario.steps.iter().map(|step| step.kind.as_str()).collect();
        assert_eq!(kinds, ["send", "recv", "recv", "pause", "recv"]);
        assert_eq!(scenario.awaited_at(1), "183 (or before it 100)");
        assert_eq!(scenario.awaited_at(4), "BYE");
        assert_eq!(scenario.awaited_at(99), "");
    }

    #[test]
    fn a_wrong_play_line_says_what_it_may_be() {
        let wrong = Scenario::parse("caller/x", "<!-- A. --><!-- play: calee=answer -->").unwrap_err();
        assert!(wrong.contains("callee"), "{wrong}");
        assert!(Scenario::parse("caller/x", "<!-- A. --><!-- play: pause=\"1 -->").is_err());
        assert!(Scenario::parse("caller/x", "<scenario/>").is_err());
    }

    #[test]
    fn every_scenario_of_ours_can_be_read_and_names_a_callee_that_exists() {
        let sipp = crate::segue::repository().join("tests/sipp");
        let callees = Scenario::all(&sipp, "callee").unwrap();
        for scenario in Scenario::all(&sipp, "caller").unwrap() {
            assert!(!scenario.steps.is_empty(), "{}", scenario.name);
            let Some(callee) = scenario.play.get("callee") else {
                continue;
            };
            let stands = callees.iter().any(|known| known.name == format!("callee/{callee}"));
            assert!(
                stands || ["none", "nobody", "uncalled"].contains(&callee.as_str()),
                "{}",
                scenario.name
            );
        }
    }
}
