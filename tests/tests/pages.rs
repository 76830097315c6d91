//! The pages, in a real browser.

use segue_mailbox::{Keeping, Kind, MediaState, Message};
use segue_store::{Deposit, MediaSource};
use segue_tests::{
    page::Page,
    segue::{Segue, sample},
};

/// What drives the browser sees what is there, and what a person could not use.
#[test]
fn the_browser_reads_a_page_and_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    let mut page = Page::open(folder.path());
    assert_eq!(page.goto(&format!("http://{}/health", segue.http())), 200);
    assert!(page.text("body").contains("\"status\":\"ok\""));
    let barriers = page.barriers();
    assert!(barriers.iter().any(|b| b.starts_with("html-has-lang")), "{barriers:?}");
    assert_eq!(page.goto(&format!("http://{}/nothing", segue.http())), 404);
    let troubles = page.troubles();
    assert!(troubles.iter().any(|t| t.contains("404")), "{troubles:?}");
}

/// Leaves a message as a call would: a real film, from somebody with a name that is no name.
fn leave(segue: &Segue, id: &str, from_name: &str) {
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
    page.run("(() => { document.querySelector('#m-01A video').currentTime = 5; return true; })()");
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
