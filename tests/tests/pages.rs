//! The pages, in a real browser.

use segue_tests::{page::Page, segue::Segue};

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
