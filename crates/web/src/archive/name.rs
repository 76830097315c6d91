//! What the file of a message is called: when it came and who left it, in names that every system can have.

use std::collections::BTreeSet;

use segue_manage::MessageView;

/// Longest part that says who, characters; four bytes each and the rest are below the 255 that file systems allow.
const WHO_MAX: usize = 40;

/// `2026-03-01 12.03.12 UTC Alice.mp4`; a second one of that name, whatever its case, gets a number. It never begins with a name that Windows
/// keeps for devices, as the day comes first.
pub(super) fn of(message: &MessageView, ending: &str, taken: &mut BTreeSet<String>) -> String {
    let at = &message.received_at;
    let (day, time) = (at.get(..10).unwrap_or_default(), at.get(11..19).unwrap_or_default());
    let who = [message.from_name.as_deref(), Some(user(&message.from))]
        .into_iter()
        .flatten()
        .map(plain)
        .find(|who| !who.is_empty())
        .unwrap_or_else(|| "unknown".to_owned());
    let base = format!("{day} {} UTC {who}", time.replace(':', "."));
    let (mut name, mut count) = (format!("{base}.{ending}"), 1_u32);
    while !taken.insert(name.to_lowercase()) {
        count = count.saturating_add(1);
        name = format!("{base} ({count}).{ending}");
    }
    name
}

/// Who a URI names.
fn user(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let user = rest.split_once('@').map_or(rest, |(user, _)| user);
    user.split([';', '?']).next().unwrap_or_default()
}

/// Without what paths, Windows, terminals and the eye take for something else; no dot or space at its ends.
fn plain(text: &str) -> String {
    let kept: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    let words: Vec<&str> = kept.split_whitespace().collect();
    let short: String = words.join(" ").chars().take(WHO_MAX).collect();
    short.trim_matches(['.', ' ']).to_owned()
}

fn is_plain(c: char) -> bool {
    // What turns the direction of the text around, or is not seen, makes an ending look like another.
    let is_unseen = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !is_unseen && !"<>:\"/\\|?*".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_nothing_that_paths_or_windows_take_for_something_else() {
        for (said, wanted) in [
            ("Alice", "Alice"),
            ("../../etc/passwd", "etc passwd"),
            ("C:\\CON", "C CON"),
            ("a\u{202e}4pm.exe", "a 4pm.exe"),
            ("  Bo\r\n\0\u{7}b ... ", "Bo b"),
            ("Jürgen Ölçer 李", "Jürgen Ölçer 李"),
            ("<|>?*\"", ""),
        ] {
            assert_eq!(plain(said), wanted, "{said:?}");
        }
        assert_eq!(plain(&"ö".repeat(300)).chars().count(), WHO_MAX);
        assert_eq!(user("sip:+4930123;phone-context=x@example.org"), "+4930123");
        assert_eq!(user("tel:+4930123"), "+4930123");
    }
}
