//! Why a scenario did not go as written, in one sentence, out of what SIPp leaves behind.

use crate::scenario::Scenario;

/// Reads the error file of a SIPp that failed. `screen` is what it printed, asked when the error file is silent.
pub fn reason(scenario: &Scenario, errors: &str, screen: &str) -> String {
    let name = &scenario.name;
    for entry in entries(errors) {
        if let Some(why) = unexpected(scenario, entry).or_else(|| silence(scenario, entry)) {
            return format!("{name} {why}");
        }
    }
    // Closing a socket that is closed already is noise; what follows it is not.
    let told = entries(errors).find(|entry| !entry.starts_with("Failed to shutdown"));
    match told.or_else(|| screen.lines().map(str::trim).find(|line| !line.is_empty())) {
        Some(said) => format!("{name}: {}", first_line(said)),
        None => format!("{name} ended without a word"),
    }
}

/// Whether it only waited in vain: the other party may know more.
pub fn is_silence(errors: &str) -> bool {
    entries(errors).all(|entry| entry.contains("receive timeout") || entry.contains("timed out"))
}

/// What stands behind the two times that begin each entry.
fn entries(errors: &str) -> impl Iterator<Item = &str> {
    // An entry ends without a line's end; the next begins with a date, a tab, a time, a tab and seconds.
    let mut starts: Vec<usize> = errors
        .match_indices('\t')
        .filter_map(|(tab, _)| {
            let date = tab.checked_sub(10).and_then(|from| errors.get(from..tab))?;
            let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
            is_date.then(|| tab - 10)
        })
        .collect();
    starts.push(errors.len());
    let cut: Vec<(usize, usize)> = starts.windows(2).map(|two| (two[0], two[1])).collect();
    cut.into_iter().filter_map(|(from, to)| {
        let (_, said) = errors.get(from..to)?.split_once(": ")?;
        Some(said.trim())
    })
}

fn unexpected(scenario: &Scenario, entry: &str) -> Option<String> {
    let (_, after) = entry.split_once("while expecting '")?;
    let (expected, after) = after.split_once('\'')?;
    let index = between(after, "(index ", ")").and_then(|number| number.parse().ok());
    let awaited = index
        .map(|index| scenario.awaited_at(index))
        .filter(|text| !text.is_empty());
    let (_, came) = after.split_once("received '")?;
    let came = came.trim_end_matches('\'').trim_end();
    let mut why = format!(
        "expected {}, got {}",
        awaited.unwrap_or_else(|| expected.to_owned()),
        named(came)
    );
    for line in came.lines() {
        why.push_str("\n    ");
        why.push_str(line.trim_end());
    }
    Some(why)
}

fn silence(scenario: &Scenario, entry: &str) -> Option<String> {
    if let Some((_, after)) = entry.split_once("receive timeout on message ") {
        let (_, number) = after.split_once(':')?;
        let index: usize = number.split(' ').next()?.parse().ok()?;
        return Some(format!("expected {}, nothing came in time", scenario.awaited_at(index)));
    }
    if entry.contains("timed out after") {
        let seconds = between(entry, "after '", "'").unwrap_or("?");
        return Some(format!("was not over after {seconds} s"));
    }
    if entry.contains("retransmission") && entry.contains("imeout") || entry.contains("max number of retransmissions") {
        return Some("got no answer to what it sent, however often it sent it".to_owned());
    }
    None
}

/// `404 Not Found`, or `a BYE`.
fn named(message: &str) -> String {
    let line = first_line(message);
    match line.strip_prefix("SIP/2.0 ") {
        Some(status) => status.to_owned(),
        None => line.split(' ').next().unwrap_or_default().to_owned(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Step;

    fn scenario() -> Scenario {
        let step = |kind: &str, awaits: Option<&str>, optional| Step {
            kind: kind.to_owned(),
            awaits: awaits.map(str::to_owned),
            optional,
        };
        Scenario {
            name: "caller/plain".to_owned(),
            sentence: String::new(),
            play: Default::default(),
            steps: vec![
                step("send", None, false),
                step("recv", Some("100"), true),
                step("recv", Some("183"), false),
            ],
            speaks: false,
            is_routed: false,
            signs: false,
        }
    }

    #[test]
    fn an_unexpected_message_is_named_and_quoted() {
        let errors = "The following events occurred:\n2026-11-28\t00:51:15.117316\t1795827075.117316: Aborting call on \
            unexpected message for Call-Id '1-2@127.0.0.1': while expecting '100' (index 1), received 'SIP/2.0 486 Busy \
            Here\r\nCall-ID: 1-2@127.0.0.1\r\n\r\n'";
        let why = reason(&scenario(), errors, "");
        assert_eq!(
            why,
            "caller/plain expected 183 (or before it 100), got 486 Busy Here\n    SIP/2.0 486 Busy Here\n    \
             Call-ID: 1-2@127.0.0.1"
        );
        assert!(!is_silence(errors));
    }

    #[test]
    fn silence_names_what_did_not_come() {
        let errors = "The following events occurred:\n2026-11-28\t00:51:23.734414\t1795827083.734414: Call-Id: \
            1-25156@127.0.0.1, receive timeout on message plain:1 without label to jump to (ontimeout attribute): \
            aborting call";
        assert_eq!(
            reason(&scenario(), errors, ""),
            "caller/plain expected 183 (or before it 100), nothing came in time"
        );
        assert!(is_silence(errors));
    }

    #[test]
    fn the_whole_time_and_sockets_are_told_as_sipp_tells_them() {
        let late = "x:\n2026-11-28\t00:51:27.750211\t1795827087.750211: plain timed out after '3.996' seconds";
        assert_eq!(reason(&scenario(), late, ""), "caller/plain was not over after 3.996 s");
        let refused = "x:\n2026-11-28\t00:51:23.743441\t1795827083.743441: Failed to shutdown socket 5, errno = \
            107 (x)2026-11-28\t00:51:23.743514\t1795827083.743514: Error on TCP connection, remote peer probably closed \
            the socket: Connection refused";
        assert!(reason(&scenario(), refused, "").ends_with("Connection refused"));
        assert_eq!(
            reason(&scenario(), "", "\nUnable to bind\n"),
            "caller/plain: Unable to bind"
        );
    }
}
