//! What may stand on the command line.

use std::collections::BTreeMap;

pub const USAGE: &str = "\
make sipp SCENARIO=plain [KEY=VALUE...]; SCENARIO=all plays every one

  CALLEE     who is called: a scenario of callee/; uncalled (must hear nothing), nobody (its port is closed), none (needs no
             subscriber) [the scenario's own, else answer]
  TRANSPORT  udp or tcp, for both sides [udp]
  TARGET     host:port of Segue [what `make run` has bound, else 127.0.0.1:5060]
  USER       the subscriber who is called [the scenario's own, else bob; nobody where none is needed]
  PORT       where the callee listens [that of the subscriber's target, else 5070]
  PAUSE      milliseconds of the caller's <pause/>; CALLEE_PAUSE likewise [the scenario's own, else 1000]
  LIMIT      seconds that one message may be waited for [40]
  SETUP      yes makes the subscriber anew in Segue's data directory, and its clips, as the scenario needs them
  OWN        yes plays it against a Segue of the kit's own, with a fresh data directory; so are scenarios that need a profile
             or settings of their own, unless TARGET, READY or DATA names another
  DATA       the data directory of a Segue on this machine, which says where it listens [of the one that `make run` started]
  READY      the ready file of another Segue on this machine (segue run --ready-file FILE)
  SEGUE      the segue binary [that of `make build`, else the one in PATH]
  LOGS       where SIPp leaves its logs [target/sipp]
";

/// What stands behind `KEY=` on the command line.
pub struct Options(BTreeMap<String, String>);

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = BTreeMap::new();
        for argument in arguments {
            let (key, value) = argument
                .split_once('=')
                .ok_or_else(|| format!("{argument:?} is no KEY=VALUE\n{USAGE}"))?;
            let known = key == "SCENARIO"
                || USAGE
                    .lines()
                    .any(|line| line.trim_start().starts_with(&format!("{key} ")));
            if !known && key != "CALLEE_PAUSE" {
                return Err(format!("{key} is not known\n{USAGE}"));
            }
            options.insert(key.to_owned(), value.to_owned());
        }
        Ok(Options(options))
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>, String> {
        let parse = |value: &str| value.parse().map_err(|_| format!("{key}={value} is no number"));
        self.get(key).map(parse).transpose()
    }
}
