//! Preconditions: resources that must be reserved before the callee is disturbed (RFC 3312). The status table of one m-line, read from
//! what a peer says, turned to our view, and written.
#![deny(clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

/// Different types and segments of one m-line that are looked at.
const STATUSES_MAX: usize = 8;
/// Longest name of a precondition type, bytes.
const KIND_MAX: usize = 32;
/// The one type that we know.
const QOS: &str = "qos";

/// How far the preconditions of a description are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reserved {
    /// There are none, or all mandatory ones are met.
    Met,
    /// The peer has still to reserve its part, and tells us (RFC 3312 §7).
    Waits,
    /// A mandatory one is nothing that we could ever meet (RFC 3312 §8, §9).
    Never,
}

/// The status table of one m-line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Preconditions(Vec<Status>);

/// One precondition type in one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Status {
    kind: String,
    segment: Segment,
    send: Row,
    recv: Row,
}

/// status-type: whose resources. Ours and the peer's, seen from the one who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    EndToEnd,
    Local,
    Remote,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Row {
    current: bool,
    desired: Strength,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    #[default]
    None,
    Optional,
    Mandatory,
}

impl Row {
    fn is_owed(self) -> bool {
        self.desired == Strength::Mandatory && !self.current
    }
}

impl Segment {
    const ALL: [(Segment, &'static str); 3] = [
        (Segment::EndToEnd, "e2e"),
        (Segment::Local, "local"),
        (Segment::Remote, "remote"),
    ];

    fn word(self) -> &'static str {
        let mut all = Segment::ALL.into_iter();
        all.find_map(|(segment, word)| (segment == self).then_some(word))
            .unwrap_or("e2e")
    }

    /// "local" and "remote" are those of who says it (RFC 3312 §5.2, table 4).
    fn inverted(self) -> Segment {
        match self {
            Segment::EndToEnd => Segment::EndToEnd,
            Segment::Local => Segment::Remote,
            Segment::Remote => Segment::Local,
        }
    }
}

/// send and recv of a direction tag.
fn directions(word: &str) -> Option<(bool, bool)> {
    match word {
        "none" => Some((false, false)),
        "send" => Some((true, false)),
        "recv" => Some((false, true)),
        "sendrecv" => Some((true, true)),
        _ => None,
    }
}

fn direction_tag(send: bool, recv: bool) -> &'static str {
    match (send, recv) {
        (false, false) => "none",
        (true, false) => "send",
        (false, true) => "recv",
        (true, true) => "sendrecv",
    }
}

impl Preconditions {
    /// Read an m-line's attributes: name and value. What cannot be read is passed over.
    pub fn read<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> Preconditions {
        let mut table = Preconditions::default();
        for (name, value) in attributes {
            table.read_one(name, value);
        }
        table
    }

    fn read_one(&mut self, name: &str, value: &str) -> Option<()> {
        let mut words = value.split_whitespace();
        let kind = words.next()?;
        let strength = match name {
            "curr" => None,
            "des" => Some(match words.next()? {
                "mandatory" => Strength::Mandatory,
                "optional" => Strength::Optional,
                _ => Strength::None,
            }),
            // Confirmation that the peer wants: what is ours is met from the beginning, so there is nothing to confirm later.
            _ => return None,
        };
        let word = words.next()?;
        let segment = Segment::ALL.into_iter().find(|(_, named)| *named == word)?.0;
        let (send, recv) = directions(words.next()?)?;
        let status = self.status(kind, segment)?;
        for (row, named) in [(&mut status.send, send), (&mut status.recv, recv)] {
            match strength {
                None => row.current = named,
                Some(strength) if named => row.desired = row.desired.max(strength),
                Some(_) => {}
            }
        }
        Some(())
    }

    fn status(&mut self, kind: &str, segment: Segment) -> Option<&mut Status> {
        let at = self.0.iter().position(|s| s.kind == kind && s.segment == segment);
        if at.is_none() {
            if self.0.len() >= STATUSES_MAX || kind.len() > KIND_MAX {
                return None;
            }
            self.0.push(Status {
                kind: kind.to_owned(),
                segment,
                send: Row::default(),
                recv: Row::default(),
            });
        }
        let last = self.0.len().saturating_sub(1);
        self.0.get_mut(at.unwrap_or(last))
    }

    /// Our answer to a peer's table: seen from us, with our own resources there. They always are: we have our ports before we say
    /// anything.
    pub fn answered(&self) -> Preconditions {
        let status = |theirs: &Status| {
            let segment = theirs.segment.inverted();
            let ours = segment == Segment::Local && theirs.kind == QOS;
            let row = |row: Row| Row {
                current: row.current || ours,
                ..row
            };
            Status {
                kind: theirs.kind.clone(),
                segment,
                send: row(theirs.recv),
                recv: row(theirs.send),
            }
        };
        Preconditions(self.0.iter().map(status).collect())
    }

    /// Our first offer's: our resources are there, we would like the peer's.
    pub fn offered() -> Preconditions {
        let status = |segment, current| {
            let desired = Strength::Optional;
            Status {
                kind: QOS.to_owned(),
                segment,
                send: Row { current, desired },
                recv: Row { current, desired },
            }
        };
        Preconditions(vec![status(Segment::Local, true), status(Segment::Remote, false)])
    }

    /// How far they are, seen from us.
    pub fn reserved(&self) -> Reserved {
        let owed = self.0.iter().filter(|status| status.is_owed());
        let of = |status: &Status| match status.segment {
            Segment::Remote => Reserved::Waits,
            Segment::EndToEnd | Segment::Local => Reserved::Never,
        };
        owed.map(of).max().unwrap_or(Reserved::Met)
    }

    /// The attributes: current and desired status, and for what is still owed by the peer that it shall confirm it (RFC 3312 §6).
    pub fn write(&self, out: &mut String) {
        for status in &self.0 {
            let (kind, segment) = (&status.kind, status.segment.word());
            let tag = direction_tag(status.send.current, status.recv.current);
            let _ = write!(out, "a=curr:{kind} {segment} {tag}\r\n");
        }
        for status in &self.0 {
            status.write_desired(out);
        }
        for status in self.0.iter().filter(|status| status.segment == Segment::Remote) {
            if status.is_owed() {
                let (kind, segment) = (&status.kind, status.segment.word());
                let tag = direction_tag(status.send.is_owed(), status.recv.is_owed());
                let _ = write!(out, "a=conf:{kind} {segment} {tag}\r\n");
            }
        }
    }

    /// For a refusal: what has failed, or what was not known (RFC 3312 §8, §9).
    pub fn write_failed(&self, out: &mut String) {
        for status in self.0.iter().filter(|status| status.is_owed()) {
            let (kind, segment) = (&status.kind, status.segment.word());
            let tag = direction_tag(status.send.is_owed(), status.recv.is_owed());
            let strength = if kind == QOS { "failure" } else { "unknown" };
            let _ = write!(out, "a=des:{kind} {strength} {segment} {tag}\r\n");
        }
    }
}

impl Status {
    fn is_owed(&self) -> bool {
        self.send.is_owed() || self.recv.is_owed()
    }

    /// One line where both directions are wanted alike, else two (RFC 3312 §5.1.1).
    fn write_desired(&self, out: &mut String) {
        let (kind, segment) = (&self.kind, self.segment.word());
        let mut line = |strength: Strength, tag: &str| {
            let word = match strength {
                Strength::None => "none",
                Strength::Optional => "optional",
                Strength::Mandatory => "mandatory",
            };
            let _ = write!(out, "a=des:{kind} {word} {segment} {tag}\r\n");
        };
        if self.send.desired == self.recv.desired {
            line(self.send.desired, "sendrecv");
        } else {
            line(self.send.desired, "send");
            line(self.recv.desired, "recv");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Preconditions {
        Preconditions::read(lines.iter().filter_map(|line| line.split_once(':')))
    }

    fn written(table: &Preconditions) -> Vec<String> {
        let mut out = String::new();
        table.write(&mut out);
        out.lines()
            .map(|line| line.trim_start_matches("a=").to_owned())
            .collect()
    }

    #[test]
    fn the_answer_to_unreserved_resources_asks_for_their_confirmation() {
        // RFC 3312 §7: A has nothing yet, and wants both segments.
        let offer = read(&[
            "curr:qos local none",
            "curr:qos remote none",
            "des:qos mandatory local sendrecv",
            "des:qos mandatory remote sendrecv",
        ]);
        let answer = offer.answered();
        assert_eq!(answer.reserved(), Reserved::Waits);
        assert_eq!(
            written(&answer),
            [
                "curr:qos remote none",
                "curr:qos local sendrecv",
                "des:qos mandatory remote sendrecv",
                "des:qos mandatory local sendrecv",
                "conf:qos remote sendrecv",
            ]
        );
    }

    #[test]
    fn the_answer_to_reserved_resources_is_that_all_is_met() {
        // RFC 3312 §13.2, SDP1 and SDP2.
        let offer = read(&[
            "curr:qos local sendrecv",
            "curr:qos remote none",
            "des:qos mandatory local sendrecv",
            "des:qos mandatory remote sendrecv",
        ]);
        let answer = offer.answered();
        assert_eq!(answer.reserved(), Reserved::Met);
        assert!(written(&answer).contains(&"curr:qos local sendrecv".to_owned()));
        assert!(written(&answer).contains(&"curr:qos remote sendrecv".to_owned()));
        assert!(!written(&answer).iter().any(|line| line.starts_with("conf")));
    }

    #[test]
    fn directions_are_inverted_and_unequal_strengths_have_a_line_each() {
        let offer = read(&[
            "curr:qos local send",
            "des:qos mandatory local send",
            "des:qos mandatory local recv",
            "des:qos optional remote send",
            "des:qos none remote recv",
        ]);
        let answer = offer.answered();
        assert_eq!(answer.reserved(), Reserved::Waits, "it cannot receive yet");
        let lines = written(&answer);
        for line in [
            "curr:qos remote recv",
            "des:qos mandatory remote sendrecv",
            "des:qos none local send",
            "des:qos optional local recv",
            "conf:qos remote send",
        ] {
            assert!(lines.contains(&line.to_owned()), "{line} in {lines:?}");
        }
    }

    #[test]
    fn what_is_end_to_end_or_not_known_cannot_be_met_but_by_the_peer_itself() {
        let failed = |lines: &[&str]| {
            let answer = read(lines).answered();
            let mut out = String::new();
            answer.write_failed(&mut out);
            (answer.reserved(), out)
        };
        let (reserved, out) = failed(&["curr:qos e2e none", "des:qos mandatory e2e send"]);
        assert_eq!(
            (reserved, out.as_str()),
            (Reserved::Never, "a=des:qos failure e2e recv\r\n")
        );
        let (reserved, out) = failed(&["des:foo mandatory remote sendrecv"]);
        assert_eq!(
            (reserved, out.as_str()),
            (Reserved::Never, "a=des:foo unknown local sendrecv\r\n")
        );
        // "… unless the only unknown mandatory preconditions have the local tag" (§9).
        assert_eq!(failed(&["des:foo mandatory local sendrecv"]).0, Reserved::Waits);
        for met in [
            vec!["curr:qos e2e sendrecv", "des:qos mandatory e2e sendrecv"],
            vec!["des:qos optional e2e sendrecv", "des:foo none remote sendrecv"],
            vec![],
        ] {
            assert_eq!(failed(&met).0, Reserved::Met, "{met:?}");
        }
    }

    #[test]
    fn garbage_is_passed_over_and_much_of_it_too() {
        let table = read(&[
            "curr:",
            "des:qos",
            "des:qos mandatory",
            "des:qos mandatory moon send",
            "curr:qos local up",
        ]);
        assert_eq!(written(&table), Vec::<String>::new());
        let many: Vec<String> = (0..100).map(|n| format!("des:t{n} mandatory local send")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(read(&many).0.len(), STATUSES_MAX);
    }
}
