//! The list of messages, in a real browser: by mouse and by keys.

use std::{fs, io::Read};

use segue_mailbox::{Keeping, Kind, MediaState, Message};
use segue_store::{Deposit, MediaSource};
use segue_tests::{
    page::Page,
    segue::{Segue, sample},
};

use super::{expect_usable, log_in};

/// Leaves a message as a call would: a real film, from somebody with a name that is no name.
pub(super) fn leave(segue: &Segue, id: &str, from_name: &str) {
    let store = segue_store::Store::open(&segue.data()).expect("the store");
    let film = sample("clip.mp4");
    let deposit = Deposit {
        message: Message {
            id: id.to_owned(),
            mailbox: "bob".to_owned(),
            call_id: format!("call-{id}"),
            sip_call_id: format!("sip-{id}"),
            from: "sip:alice@example.org".to_owned(),
            from_name: Some(from_name.to_owned()),
            received_at_ms: 1_700_000_000_000,
            heard_at_ms: None,
            duration_ms: 6_000,
            kind: Kind::Video,
            media_state: MediaState::Ready,
            bytes: 0,
            interrupted: false,
            urgent: false,
            keeping: Keeping::default(),
        },
        media: MediaSource::File(film),
        media_type: "video/mp4".to_owned(),
        poster: None,
    };
    store.deposit(deposit).expect("a message");
}

/// A subscriber logs in by the link of a command, watches a message until it counts as heard, deletes it and has it back; another comes while
/// they look.
#[test]
fn a_subscriber_watches_messages_in_the_browser() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    segue.cli(&["subscriber", "add", "bob"]);
    leave(&segue, "01A", "<img src=x onerror=\"document.title='evil'\">");
    let link = segue.cli(&["subscriber", "link", "bob"])["link"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut page = Page::open(folder.path());
    page.size(360, 740);
    assert_eq!(page.goto(&link), 200);
    page.click("main button");
    page.wait_for("#m-01A video");
    assert!(page.text("#m-01A .caller").contains("<img src=x"), "text stays text");
    assert_ne!(page.run("document.title"), "evil");
    assert_eq!(
        page.run("document.documentElement.scrollWidth <= 360"),
        true,
        "fits 360 pixels"
    );
    for scheme in ["light", "dark"] {
        page.scheme(scheme);
        assert_eq!(page.barriers(), Vec::<String>::new(), "{scheme}");
    }
    // It plays, its picture moves on, and a jump is a range.
    page.run("(() => { const v = document.querySelector('#m-01A video'); v.muted = true; v.play(); return true; })()");
    page.wait_until("document.querySelector('#m-01A video').currentTime > 0.5");
    assert_eq!(page.run("document.querySelector('#m-01A video').videoWidth > 0"), true);
    page.run("(() => { const v = document.querySelector('#m-01A video'); v.currentTime = v.duration - 0.2; return true; })()");
    page.wait_until("document.querySelector('#m-01A video').ended");
    // It was said what was played, and to seek to the end is not to hear it.
    page.wait_until("Number(document.getElementById('m-01A').dataset.played) > 5000");
    assert_eq!(page.run("document.getElementById('m-01A').dataset.heard"), "false");
    assert_eq!(segue.rows(&["message", "list", "bob"])[0]["state"], "unheard");
    // What is played in the rest of the message adds up with that, also once the page was left.
    page.reload();
    page.run(
        "(() => { const v = document.querySelector('#m-01A video'); v.muted = true; v.playbackRate = 2; v.play(); return true; })()",
    );
    page.wait_until("document.getElementById('m-01A').dataset.heard === 'true'");
    assert_eq!(segue.rows(&["message", "list", "bob"])[0]["state"], "heard");
    page.run("(() => { document.querySelector('#m-01A video').pause(); return true; })()");
    leave(&segue, "01B", "Bo");
    page.wait_for("#m-01B");
    page.click("#m-01A button[value=delete]");
    page.wait_for(".notice");
    assert_eq!(page.count("#m-01A"), 0);
    page.press("Enter");
    page.wait_for("#m-01A");
    assert_eq!(page.troubles(), Vec::<String>::new());
    page.click(".out button");
    page.wait_for("#password");
    assert_eq!(page.goto(&link), 410);
}

/// Where the focus is, and what the list shows of it.
fn focus(page: &mut Page) -> String {
    page.run("document.activeElement.id || document.activeElement.tagName")
        .as_str()
        .unwrap()
        .to_owned()
}

fn player_of(id: &str) -> String {
    format!("document.querySelector('#m-{id} video')")
}

fn state_of(segue: &Segue, id: &str) -> Option<String> {
    let rows = segue.rows(&["message", "list", "bob"]);
    let row = rows.iter().find(|row| row["id"] == id)?;
    row["state"].as_str().map(str::to_owned)
}

/// By keys alone: the list is gone through, a message played, moved in, marked, deleted and had back; keys are nothing's elsewhere, and what
/// buttons and fields do with them stays theirs.
#[test]
fn a_mailbox_is_gone_through_by_keys_and_others_come_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    segue.cli(&["subscriber", "add", "bob"]);
    for id in ["01A", "01B", "01C"] {
        leave(&segue, id, "Alice");
    }
    let mut page = Page::open(folder.path());
    log_in(&mut page, &segue, &["subscriber", "link", "bob"]);
    page.wait_for("#m-01C video");
    assert_eq!(page.count("h2.day"), 1, "one day");

    // Keys do nothing while the focus is elsewhere, and a field has its letters.
    page.press("h");
    page.press("Delete");
    page.click("#q");
    for key in ["h", "k", "x", "Delete"] {
        page.press(key);
    }
    assert_eq!(page.run("document.getElementById('q').value"), "hkx");
    assert_eq!(state_of(&segue, "01C").as_deref(), Some("unheard"));

    // Tab leads into the list, to one row; the arrows go on from there, and stop at its ends.
    page.run("document.querySelector('.tabs a:last-child').focus()");
    for _ in 0..2 {
        page.press("Tab");
    }
    assert_eq!(focus(&mut page), "m-01C");
    let ring = page.run("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(ring, "solid", "the focus is seen");
    for (key, at) in [
        ("ArrowDown", "m-01B"),
        ("n", "m-01A"),
        ("n", "m-01A"),
        ("p", "m-01B"),
        ("ArrowUp", "m-01C"),
    ] {
        page.press(key);
        assert_eq!(focus(&mut page), at, "{key}");
    }

    // Played, paused, moved in.
    let player = player_of("01C");
    page.press("Space");
    page.wait_until(&format!("!{player}.paused && {player}.currentTime > 0.3"));
    page.press("k");
    page.wait_until(&format!("{player}.paused"));
    let at = |page: &mut Page| page.run(&format!("{player}.currentTime")).as_f64().unwrap();
    let before = at(&mut page);
    page.press("ArrowRight");
    let after = at(&mut page);
    assert!((after - before.min(1.0) - 5.0).abs() < 1.0, "{before} {after}");
    page.press("ArrowLeft");
    let back = at(&mut page);
    assert!((after - back - 5.0).abs() < 0.2, "{after} {back}");
    page.press("l");
    page.wait_until(&format!("{player}.currentTime > {player}.duration - 0.1"));
    page.press("j");
    page.wait_until(&format!("{player}.currentTime < 0.1"));

    // A button has its own space bar.
    page.run("document.querySelector('#m-01C button[value=pin]').focus()");
    page.press("Space");
    page.wait_for("#m-01C button[value=unpin]");
    assert_eq!(page.run(&format!("{player}.paused")), true);
    segue.cli(&["message", "unpin", "01C"]);

    // Another message comes while one is played and one is chosen: it is there, and all else stays as it was.
    page.run("document.getElementById('m-01B').focus()");
    page.press("x");
    assert_eq!(page.text("#chosen-count"), "Chosen: 1, 0:06 long");
    page.press("k");
    page.wait_until(&format!("{}.currentTime > 0.2", player_of("01B")));
    leave(&segue, "01D", "Dora");
    page.wait_for("#m-01D");
    assert_eq!(focus(&mut page), "m-01B");
    assert_eq!(page.run(&format!("{}.paused", player_of("01B"))), false);
    assert_eq!(page.run("document.querySelector('#m-01B input').checked"), true);
    assert_eq!(
        page.run("document.getElementById('messages').firstElementChild.id"),
        "m-01D"
    );
    assert_eq!(
        page.text("h2.day"),
        page.text("#m-01D h2.day"),
        "the day moves to the first"
    );
    assert_eq!(page.count("h2.day"), 1);
    // Heard by another way, it shows as heard, beside the player that goes on.
    segue.cli(&["message", "heard", "01B"]);
    page.wait_gone("#m-01B .badge.fresh");
    assert_eq!(page.run(&format!("{}.paused", player_of("01B"))), false);
    page.press("k");

    // Marked, deleted and had back; the focus goes on to the next row.
    page.press("n");
    assert_eq!(focus(&mut page), "m-01A");
    page.press("h");
    page.wait_gone("#m-01A .badge.fresh");
    assert_eq!(state_of(&segue, "01A").as_deref(), Some("heard"));
    page.press("u");
    page.wait_for("#m-01A .badge.fresh");
    assert_eq!(state_of(&segue, "01A").as_deref(), Some("unheard"));
    page.press("p");
    page.press("Delete");
    page.wait_for("#done >> text=Deleted.");
    assert_eq!((page.count("#m-01B"), focus(&mut page)), (0, "m-01A".to_owned()));
    assert_eq!(state_of(&segue, "01B"), None);
    page.press("Delete");
    page.wait_gone("#m-01A");
    assert_eq!(focus(&mut page), "m-01C", "the last has none after it");
    page.press("u");
    page.wait_for("#m-01A");
    page.wait_until("document.activeElement.id === 'm-01A'");
    assert_eq!(state_of(&segue, "01A").as_deref(), Some("unheard"));

    // The keys are told.
    page.press("?");
    page.wait_for("#keys dl");
    page.wait_for("#keys >> text=next message");
    assert_eq!(page.run("document.activeElement.parentElement.id"), "keys");
    expect_usable(&mut page, "mailbox-keys");

    // Those that are chosen come as one file.
    page.click("#choose-all");
    let name = page.download("#chosen button[value=download]", &folder.path().join("chosen.zip"));
    assert!(name.starts_with("messages-20") && name.ends_with(".zip"), "{name}");
    let mut saved = zip::ZipArchive::new(fs::File::open(folder.path().join("chosen.zip")).unwrap()).unwrap();
    assert_eq!(saved.len(), 4, "the index and three messages");
    let mut film = Vec::new();
    saved.by_index(3).unwrap().read_to_end(&mut film).unwrap();
    assert_eq!(film, fs::read(sample("clip.mp4")).unwrap());
    page.click("#chosen button[value=delete]");
    page.wait_for("text=3 messages deleted.");
    page.wait_for("text=No messages yet.");
    page.press("Enter");
    page.wait_for("#m-01A");
    assert_eq!(page.count("#messages > li"), 3);
    assert_eq!(page.troubles(), Vec::<String>::new());
}

/// A token is made by keyboard, said once, and does what it may; the limits of the mailbox are seen before they are saved.
#[test]
fn a_subscriber_makes_a_token_and_looks_at_limits_before_they_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    segue.cli(&["subscriber", "add", "bob"]);
    leave(&segue, "01A", "Alice");
    let mut page = Page::open(folder.path());
    log_in(&mut page, &segue, &["subscriber", "link", "bob"]);
    page.click("nav >> text=Settings");
    page.click("text=Tokens by which programs act for you");
    page.fill("#token-label", "phone book");
    page.press("Enter");
    page.wait_for("#token-label");
    page.wait_for("text=name one at least");
    assert_eq!(page.run("document.getElementById('token-label').value"), "phone book");
    let troubles = page.troubles();
    assert!(troubles.iter().all(|trouble| trouble.contains("422")), "{troubles:?}");
    page.run("document.querySelector('input[value=\"messages:read\"]').focus()");
    page.press("Space");
    page.click("text=Make it");
    page.wait_for("#secret");
    let secret = page.text("#secret");
    expect_usable(&mut page, "tokens");
    let answer = page.run(&format!(
        "fetch('/api/v1/messages/01A', {{ credentials: 'omit', headers: {{ Authorization: 'Bearer {secret}' }} }}).then((a) => a.status)"
    ));
    assert_eq!(answer, 200);
    page.goto(&super::at(&segue, "/settings/tokens"));
    assert_eq!(page.count("#secret"), 0, "said once");
    page.click("td button");
    page.wait_for("text=No tokens yet.");

    page.click("text=Back to the settings");
    page.fill("#max_seconds", "3s");
    page.fill("#max_bytes", "5 GB");
    page.choose("#scope", "conversation");
    page.click("text=What would go?");
    page.wait_for("text=If you save this");
    expect_usable(&mut page, "limits");
    assert_eq!(page.run("document.getElementById('max_seconds').value"), "3s");
}
