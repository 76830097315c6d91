//! What happens, while it happens, to who may see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::time::Duration;

use fixture::{Browser, Office};
use segue_records::{Event, Happening, UnixMs};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};

struct Following(BufReader<TcpStream>);

impl Following {
    async fn begin(browser: &Browser, headers: &[(&str, &str)]) -> Following {
        let stream = browser.begin("GET", "/api/v1/events", b"", headers).await;
        let mut following = Following(BufReader::new(stream));
        assert!(following.until(": alive").await.contains("text/event-stream"));
        following
    }

    /// Everything up to a line that has this in it.
    async fn until(&mut self, wanted: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = timeout(Duration::from_secs(10), self.0.read_line(&mut line)).await;
            assert!(read.unwrap().unwrap() > 0, "ended: {all}");
            all.push_str(&line);
            if line.contains(wanted) {
                return all;
            }
        }
    }
}

/// What the server's thread does that follows the store.
fn publish(office: &Office, after: i64) {
    for change in office.store.changes(after, 100).unwrap() {
        office.hub.publish_change(&change);
    }
}

#[tokio::test]
async fn a_subscriber_is_told_of_their_own_messages_and_an_operator_of_all() {
    let office = Office::open().await;
    let mut bob = Following::begin(&office.browser("bob").await, &[]).await;
    let mut root = Following::begin(&office.browser("root").await, &[]).await;
    let reader = office.program("root", segue_store::Role::Operator, &["messages:read"]);
    let mut reader = Following::begin(&reader, &[]).await;
    office.deposit("01E", "eve", |_| ());
    office.deposit("01B", "bob", |_| ());
    publish(&office, 0);
    office
        .hub
        .publish(&Event::of_the_server(UnixMs(1), Happening::ServerStopping));
    office.store.mark_heard("01B", 1).unwrap();
    publish(&office, 2);
    let told = bob.until("message.heard").await;
    assert!(
        told.contains("event: message.committed") && told.contains("01B"),
        "{told}"
    );
    assert!(
        !told.contains("01E") && !told.contains(r#""eve""#) && !told.contains("server."),
        "{told}"
    );
    let told = root.until("message.heard").await;
    assert!(told.contains("01E") && told.contains("server.stopping"), "{told}");
    let told = reader.until("message.heard").await;
    assert!(told.contains("01E") && !told.contains("server.stopping"), "{told}");
}

#[tokio::test]
async fn who_comes_back_is_told_what_happened_meanwhile() {
    let office = Office::open().await;
    let browser = office.browser("bob").await;
    let mut bob = Following::begin(&browser, &[]).await;
    office.deposit("01A", "bob", |_| ());
    publish(&office, 0);
    let told = bob.until("data: ").await;
    let id = told
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap()
        .to_owned();
    drop(bob);
    office.deposit("01B", "bob", |_| ());
    publish(&office, 1);
    let mut bob = Following::begin(&browser, &[("Last-Event-ID", &id)]).await;
    let told = bob.until("data: ").await;
    assert!(told.contains("01B") && !told.contains("01A"), "{told}");
    browser.get("/api/v1/events?after=x").await.problem(400);
}
