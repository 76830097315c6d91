//! The operator's pages and routes: calls, the system, the audit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{Office, now};
use segue_records::{
    CallRecord, CallResult, LadderStep, LegRecord, MediaKind, RefusedRecord, RegistrationRecord, Sent, SwitchRecord,
    UnixMs,
};
use segue_store::{KeptTrunk, Role};
use serde_json::Value;

const EVIL: &str = "<img src=x onerror=alert(1)>";

/// A call that began some minutes ago and ended after 20 s; markup wherever its caller had a say.
fn call(id: &str, minutes: i64, result: CallResult) -> CallRecord {
    let began = now() - minutes * 60_000;
    CallRecord {
        from: format!("sip:{EVIL}@192.0.2.1"),
        to: "sip:bob@192.0.2.9".to_owned(),
        first_media_at: Some(UnixMs(began + 40)),
        ended_at: Some(UnixMs(began + 20_000)),
        hold_asked_ms: Some(6_000),
        result,
        why: format!("The callee said {EVIL}."),
        legs: vec![LegRecord {
            sip_call_id: EVIL.to_owned(),
            target: "sip:bob@192.0.2.9".to_owned(),
            status: Some(200),
            reason: None,
            ladder: vec![LadderStep {
                at: UnixMs(began),
                sent: Sent::In,
                summary: format!("INVITE {EVIL}"),
            }],
            media: Vec::new(),
        }],
        switches: vec![SwitchRecord {
            to: "clip".to_owned(),
            kind: MediaKind::Video,
            gap_ms: None,
            at: UnixMs(began + 40),
        }],
        ..CallRecord::begun(id.to_owned(), format!("sip-{id}"), UnixMs(began))
    }
}

fn phone(user: &str) -> RegistrationRecord {
    RegistrationRecord {
        user: user.to_owned(),
        contact: format!("sip:{user}@192.0.2.7"),
        q: 1_000,
        expires_at: UnixMs(now() + 90_500),
        sip_call_id: "r".to_owned(),
        cseq: 1,
        instance: None,
        reg_id: None,
        path: Vec::new(),
        user_agent: Some(EVIL.to_owned()),
        transport: "udp".to_owned(),
        local: "192.0.2.9:5060".to_owned(),
        source: "192.0.2.7:5060".to_owned(),
        by_source: false,
    }
}

#[tokio::test]
async fn the_calls_of_a_day_are_drawn_listed_searched_and_each_has_a_page() {
    let office = Office::open().await;
    office.store.save_call(&call("01A", 3, CallResult::Answered)).unwrap();
    let other = CallRecord {
        from: "sip:ann@192.0.2.3".to_owned(),
        ..call("01B", 2, CallResult::Failed)
    };
    office.store.save_call(&other).unwrap();
    let root = office.browser("root").await;
    let page = root.get("/operator/calls").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    assert!(text.contains("/operator/calls/01A") && text.contains("/operator/calls/01B"));
    // Nobody answers for the calls that are up here: that is said, and the rest is shown.
    assert!(text.contains("signalling thread does not answer"), "{text}");
    assert!(
        text.contains("answered 1") && text.contains("refused or failed 1"),
        "{text}"
    );
    assert!(!text.contains("<img"), "{text}");
    // An address breaks before its host; what became of a call has the colour of the chart.
    assert!(text.contains("<td>sip:ann<wbr>@192.0.2.3</td>"), "{text}");
    assert!(
        text.contains("<span class=\"badge result good\">answered</span>"),
        "{text}"
    );
    let found = root.get("/operator/calls?q=ANN").await.text();
    assert!(found.contains("/operator/calls/01B") && !found.contains("/operator/calls/01A"));

    let one = root.get("/operator/calls/01A").await.text();
    assert!(
        one.contains("class=\"ladder\"") && one.contains("class=\"timeline\""),
        "{one}"
    );
    assert!(one.contains("6.0 s of 6.0 s"), "{one}");
    assert!(
        one.contains("<span class=\"badge result good\">answered</span>"),
        "{one}"
    );
    assert!(one.contains("href=\"/operator/calls\" aria-current=\"true\""), "{one}");
    assert!(!one.contains("<img") && one.contains("&lt;img"), "{one}");
    assert!(!one.contains("End this call"), "it has ended");
    assert_eq!(root.get("/operator/calls/01C").await.status, 404);
}

#[tokio::test]
async fn a_subscriber_has_no_operators_pages_and_a_stranger_is_led_to_the_login() {
    let office = Office::open().await;
    office.store.save_call(&call("01A", 3, CallResult::Answered)).unwrap();
    let bob = office.browser("bob").await;
    for page in [
        "/operator/calls",
        "/operator/calls/01A",
        "/operator/system",
        "/operator/audit",
    ] {
        assert_eq!(bob.get(page).await.status, 403, "{page}");
        assert_eq!(office.nobody().get(page).await.status, 303, "{page}");
    }
    assert_eq!(bob.form("/operator/calls/01A", "act=end").await.status, 403);
    for route in [
        "/api/v1/call-hours",
        "/api/v1/live",
        "/api/v1/trunks",
        "/api/v1/storage",
    ] {
        bob.get(route).await.problem(403);
        office.nobody().get(route).await.problem(401);
    }
    let looks = office.program("root", Role::Operator, &["calls:read"]);
    let ended = looks.change("DELETE", "/api/v1/live/01A", None).await;
    assert!(ended.problem(403)["detail"].as_str().unwrap().contains("calls:write"));
}

#[tokio::test]
async fn hours_are_counted_and_bounded() {
    let office = Office::open().await;
    office.store.save_call(&call("01A", 0, CallResult::Answered)).unwrap();
    office.store.save_call(&call("01B", 0, CallResult::Answered)).unwrap();
    let root = office.program("root", Role::Operator, &["calls:read"]);
    let hours = root.get("/api/v1/call-hours").await.json();
    assert_eq!(
        (&hours[0]["result"], &hours[0]["calls"]),
        (&"answered".into(), &2.into())
    );
    root.get("/api/v1/call-hours?hours=0").await.problem(422);
    root.get("/api/v1/live").await.problem(503);
}

#[tokio::test]
async fn phones_storage_and_deeds_are_shown_a_subscriber_sees_its_own_phones() {
    let office = Office::open().await;
    let all = [("bob", vec![phone("bob")]), ("eve", vec![phone("eve")])];
    office
        .store
        .save_registrations(all.map(|(user, phones)| (user.to_owned(), phones)).to_vec())
        .unwrap();
    office.deposit("01E", "eve", |_| ());
    let root = office.browser("root").await;
    let text = root.get("/operator/system").await.text();
    assert!(
        text.contains("sip:bob@192.0.2.7") && text.contains("sip:eve@192.0.2.7"),
        "{text}"
    );
    assert!(text.contains("1 messages of 2 subscribers, 1 not heard yet"), "{text}");
    assert!(!text.contains("<img"), "{text}");
    let storage = root.get("/api/v1/storage").await.json();
    assert_eq!(storage["message_bytes"], 600_000 + 4, "media and picture: {storage}");

    let bob = office.browser("bob").await;
    let first = root.get("/api/v1/registrations?limit=1").await.json();
    assert_eq!(first["items"][0]["user"], "bob", "{first}");
    let next = format!(
        "/api/v1/registrations?limit=1&cursor={}",
        first["next"].as_str().unwrap()
    );
    let second = root.get(&next).await.json();
    assert_eq!(
        (&second["items"][0]["user"], &second["next"]),
        (&"eve".into(), &Value::Null)
    );
    root.get("/api/v1/registrations?cursor=Ym9i").await.problem(422);
    let own = bob.get("/api/v1/registrations").await.json()["items"].clone();
    assert_eq!((own.as_array().unwrap().len(), &own[0]["user"]), (1, &"bob".into()));
    assert_eq!(own[0]["q"], 1.0);
    let left = own[0]["expires_in_s"].as_u64().unwrap();
    assert!((60..=90).contains(&left), "{left}: a busy machine takes its time");
    bob.get("/api/v1/registrations?user=eve").await.problem(404);

    let audit = root.get("/operator/audit?name=bob").await.text();
    assert!(audit.contains("session.begin") || audit.contains("login"), "{audit}");
    assert!(
        !audit.contains("<td>root</td>"),
        "only what is by or about bob: {audit}"
    );
}

#[tokio::test]
async fn the_profiles_in_force_are_shown_and_reading_them_again_says_what_became_of_it() {
    let office = Office::open().await;
    let root = office.program("root", Role::Operator, &["system:write"]);
    let shown = root.get("/api/v1/profiles").await.json();
    let key = &shown["profiles"][0]["keys"][0];
    assert_eq!(
        (&key["key"], &key["value"], &key["default"]),
        (&"nat".into(), &true.into(), &false.into())
    );
    let again = root.change("POST", "/api/v1/reload", None).await;
    assert_eq!((again.status, &again.json()["taken"]), (409, &false.into()));
    let deeds = office.store.audit(Some(("root", Role::Operator)), None, 1).unwrap();
    assert_eq!(deeds[0].deed.what, "server.reload");

    let looks = office.program("root", Role::Operator, &["system:read"]);
    looks.change("POST", "/api/v1/reload", None).await.problem(403);
    let bob = office.browser("bob").await;
    bob.get("/api/v1/profiles").await.problem(403);
    bob.change("POST", "/api/v1/reload", None).await.problem(403);
    assert_eq!(bob.get("/operator/profiles").await.status, 403);
    assert_eq!(bob.form("/operator/profiles", "act=reload").await.status, 403);
    assert_eq!(office.nobody().get("/operator/profiles").await.status, 303);

    let root = office.browser("root").await;
    let text = root.get("/operator/profiles").await.text();
    assert!(
        text.contains("/etc/segue/office.toml") && text.contains("line 2:7") && text.contains("1 keys of office"),
        "{text}"
    );
    // Of the pages that the navigation has, it belongs to this one.
    assert!(
        text.contains("href=\"/operator/system\" aria-current=\"true\""),
        "{text}"
    );
    let text = root.form("/operator/profiles", "act=reload").await.text();
    assert!(text.contains("what was read before goes on"), "{text}");
    assert!(text.contains("&lt;b&gt;maybe") && !text.contains("<b>maybe"), "{text}");
}

#[tokio::test]
async fn a_busy_hour_is_seen_in_bars_and_in_a_table() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let load = root.get("/api/v1/load").await.json();
    assert_eq!((&load["calls"]["now"], &load["calls"]["max"]), (&40.into(), &50.into()));
    assert_eq!(load["refused"][0]["count"], 12);
    let text = root.get("/operator/load").await.text();
    assert!(text.contains("40 of 50") && text.contains("3, no limit"), "{text}");
    // Four fifths are full: that is red; so is what is limited.
    assert!(
        text.contains("part bad") && text.contains("7 new calls a second"),
        "{text}"
    );
    assert!(text.contains("overload.calls_max"), "{text}");
    let bob = office.browser("bob").await;
    bob.get("/api/v1/load").await.problem(403);
    assert_eq!(bob.get("/operator/load").await.status, 403);
}

#[tokio::test]
async fn a_trunk_is_asked_at_once_and_one_that_was_added_is_removed() {
    let office = Office::open().await;
    let added = KeptTrunk {
        name: "added".to_owned(),
        settings: "{}".to_owned(),
        sealed: Some(b"secret".to_vec()),
    };
    office.store.add_trunk(added).unwrap();
    let root = office.program("root", Role::Operator, &["system:write"]);
    assert_eq!(root.get("/api/v1/trunks/main").await.json()["calls"], 1);
    root.get("/api/v1/trunks/none").await.problem(404);
    assert_eq!(root.change("POST", "/api/v1/trunks/main/test", None).await.status, 202);
    assert_eq!(office.store.take_asked_trunks().unwrap(), ["main"]);
    root.change("POST", "/api/v1/trunks/none/test", None).await.problem(404);
    assert_eq!(root.change("DELETE", "/api/v1/trunks/added", None).await.status, 204);
    root.change("DELETE", "/api/v1/trunks/added", None).await.problem(404);
    // One of the configuration is changed there.
    let at = root.change("DELETE", "/api/v1/trunks/main", None).await.problem(409);
    assert!(at["detail"].as_str().unwrap().contains("segue.toml:3:8"), "{at}");
    let deeds = office.store.audit(Some(("root", Role::Operator)), None, 10).unwrap();
    let put_down: Vec<&str> = deeds.iter().map(|done| done.deed.what.as_str()).collect();
    assert!(put_down.starts_with(&["trunk.remove", "trunk.test"]), "{put_down:?}");

    let looks = office.program("root", Role::Operator, &["system:read"]);
    looks
        .change("POST", "/api/v1/trunks/main/test", None)
        .await
        .problem(403);
    looks.change("DELETE", "/api/v1/trunks/main", None).await.problem(403);
    let browser = office.browser("root").await;
    assert!(
        browser
            .get("/operator/system")
            .await
            .text()
            .contains("Ask now: the trunk main")
    );
    assert_eq!(
        browser.form("/operator/system", "act=test&trunk=main").await.status,
        303
    );
    assert_eq!(office.store.take_asked_trunks().unwrap(), ["main"]);
    assert_eq!(
        browser.form("/operator/system", "act=test&trunk=none").await.status,
        404
    );
    assert_eq!(browser.form("/operator/system", "act=x&trunk=main").await.status, 422);
    let bob = office.browser("bob").await;
    assert_eq!(bob.form("/operator/system", "act=test&trunk=main").await.status, 403);
}

fn refused(id: &str, at: i64) -> RefusedRecord {
    RefusedRecord {
        id: id.to_owned(),
        at: UnixMs(at),
        protocol: "udp".to_owned(),
        source: "192.0.2.7:5060".to_owned(),
        local: "127.0.0.1:5060".to_owned(),
        method: "OPTIONS".to_owned(),
        sip_call_id: None,
        from: None,
        to: None,
        status: None,
        why: "no profile trusts it".to_owned(),
        admit: "sources = [\"192.0.2.7/32\"]".to_owned(),
        times: 2,
        withheld: 0,
        ladder: Vec::new(),
    }
}

#[tokio::test]
async fn calls_between_two_moments_and_to_one_subscriber_are_listed_page_by_page() {
    let office = Office::open().await;
    let root = office.program("root", Role::Operator, &["calls:read"]);
    // Those that ended later began earlier.
    for (id, minutes, to) in [
        ("01A", 10, "bob"),
        ("01D", 20, "bob"),
        ("01B", 30, "eve"),
        ("01C", 40, "bob"),
    ] {
        let call = CallRecord {
            to: format!("sip:{to}@127.0.0.1"),
            ..call(id, minutes, CallResult::Answered)
        };
        office.store.save_call(&call).unwrap();
    }
    let moment = |minutes: i64| UnixMs(now() - minutes * 60_000).rfc3339();
    let ids = async |query: String| -> (Vec<Value>, Value) {
        let page = root.get(&format!("/api/v1/calls?{query}")).await.json();
        let ids = page["items"].as_array().unwrap().iter().map(|call| call["id"].clone());
        (ids.collect(), page["next"].clone())
    };
    let between = format!("since={}&until={}", moment(41), moment(15));
    assert_eq!(ids(between.clone()).await.0, ["01D", "01B", "01C"]);
    let (first, next) = ids(format!("{between}&user=bob&limit=1")).await;
    let (second, last) = ids(format!("{between}&user=bob&limit=1&cursor={}", next.as_str().unwrap())).await;
    assert_eq!(
        (first, second, last),
        (vec!["01D".into()], vec!["01C".into()], Value::Null)
    );
    assert_eq!(ids(format!("until={}&q=127.0.0.1", moment(35))).await.0, ["01C"]);
    root.get("/api/v1/calls?since=yesterday").await.problem(422);
    root.get("/api/v1/calls?cursor=MTox").await.problem(422);
    root.get("/api/v1/calls?until=2026-03-01T12:00:00Z&cursor=eA")
        .await
        .problem(422);
}

#[tokio::test]
async fn calls_are_exported_as_the_files_of_records_have_them() {
    let office = Office::open().await;
    let root = office.program("root", Role::Operator, &["calls:read"]);
    // More than are read at once.
    for n in 0..1_203 {
        let call = CallRecord {
            to: format!("sip:{}@127.0.0.1", if n % 2 == 0 { "bob" } else { "eve" }),
            ..call(&format!("01A{n:04}"), 2_000 - n, CallResult::Answered)
        };
        office.store.save_call(&call).unwrap();
    }
    let answer = root.get("/api/v1/calls/export").await;
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("text/csv; charset=utf-8; header=present")
    );
    assert!(answer.header("content-disposition").unwrap().contains(".csv\""));
    let csv = answer.text();
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(
        (lines.len(), lines[0]),
        (1_204, segue_records::COLUMNS.join(",").as_str())
    );
    for (n, line) in lines[1..].iter().enumerate() {
        assert!(line.starts_with(&format!("\"01A{n:04}\",")), "{line}");
    }
    let since = UnixMs(now() - 1_010 * 60_000 - 30_000).rfc3339();
    let some = root
        .get(&format!("/api/v1/calls/export?form=jsonl&user=bob&since={since}"))
        .await;
    assert_eq!(some.header("content-type").as_deref(), Some("application/jsonl"));
    let ids: Vec<Value> = some
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    assert_eq!((ids.len(), &ids[0]), (107, &"01A0990".into()));
    root.get("/api/v1/calls/export?form=xml").await.problem(400);
    root.get("/api/v1/calls/export?until=now").await.problem(422);
    root.get("/api/v1/calls/export?q=bob").await.problem(422);
    office
        .browser("bob")
        .await
        .get("/api/v1/calls/export")
        .await
        .problem(403);
}

#[tokio::test]
async fn what_was_refused_is_listed_calls_and_requests_alike_page_by_page() {
    let office = Office::open().await;
    let root = office.program("root", Role::Operator, &["calls:read"]);
    let at = |minutes: i64| now() - minutes * 60_000;
    office.store.save_call(&call("01A", 4, CallResult::Rejected)).unwrap();
    office.store.save_call(&call("01B", 3, CallResult::Answered)).unwrap();
    office.store.save_call(&call("01C", 1, CallResult::Rejected)).unwrap();
    for (id, minutes) in [("01R", 5), ("01S", 2)] {
        let record = refused(id, at(minutes));
        office.store.save_refused_later(&record, |done| done.unwrap()).unwrap();
    }
    office.store.flush().unwrap();
    let mut query = "limit=1".to_owned();
    let mut all = Vec::new();
    loop {
        let page = root.get(&format!("/api/v1/refused?{query}")).await.json();
        let item = &page["items"][0];
        all.push(format!(
            "{} {}",
            item["id"].as_str().unwrap(),
            item["kind"].as_str().unwrap()
        ));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=1&cursor={next}");
    }
    assert_eq!(all, ["01C call", "01S request", "01A call", "01R request"]);
    let since = UnixMs(at(4) - 30_000).rfc3339();
    let until = UnixMs(at(1) - 30_000).rfc3339();
    let some = root
        .get(&format!("/api/v1/refused?since={since}&until={until}"))
        .await
        .json();
    assert_eq!(
        (&some["items"][0]["id"], &some["items"][1]["id"]),
        (&"01S".into(), &"01A".into())
    );
    assert_eq!(some["items"].as_array().unwrap().len(), 2);
    let one = root.get("/api/v1/refused/01S").await.json();
    assert_eq!(
        (&one["times"], &one["status"], &one["ladder"]),
        (&2.into(), &Value::Null, &serde_json::json!([]))
    );
    root.get("/api/v1/refused/01B").await.problem(404);
    office.browser("bob").await.get("/api/v1/refused").await.problem(403);
}
