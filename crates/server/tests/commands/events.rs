//! `segue events` where there is no server, or none that lets it.

use crate::fixture::Segue;

#[test]
fn without_a_server_it_is_exit_5_with_the_fix() {
    let segue = Segue::new();
    let (said, text) = segue.fails(5, &["events"]);
    assert_eq!(said["code"], "no_server");
    assert!(text.contains("segue run"), "{text}");
    assert!(!segue.data().exists(), "who only asks leaves nothing behind");
    // A command that holds the store is no server; a server that has not bound yet is one to wait for.
    let _store = segue.store();
    let (said, _) = segue.fails(5, &["events"]);
    assert!(said["message"].as_str().unwrap().contains("starting"), "{said}");
    let waited = segue.run(&["events", "--reconnect", "--timeout", "700ms"]);
    assert_eq!(waited.code, 5, "{}", waited.err);
}
