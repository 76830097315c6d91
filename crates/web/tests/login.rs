//! Logging in and out, and what keeps others from doing it in one's place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use fixture::{Browser, Office, PASSWORD, With, now};
use segue_store::Role;
use serde_json::json;

#[tokio::test]
async fn a_subscriber_and_an_operator_log_in_and_out() {
    let office = Office::open().await;
    for (name, role) in [("bob", "subscriber"), ("root", "operator")] {
        let browser = office.browser(name).await;
        let session = browser.get("/api/v1/session").await.json();
        assert_eq!(
            (session["name"].as_str(), session["role"].as_str()),
            (Some(name), Some(role))
        );
        assert_eq!(session["csrf"].as_str(), browser.csrf.as_deref());
        let out = browser.change("DELETE", "/api/v1/session", None).await;
        assert_eq!(out.status, 204);
        assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"), "{}", out.head);
        let after = browser.get("/api/v1/session").await;
        assert_eq!(after.problem(401)["code"], "not_logged_in");
        assert!(after.header("www-authenticate").is_some());
    }
    let deeds = office.store.audit(None, None, 10).unwrap();
    let logins: Vec<_> = deeds.iter().filter(|done| done.deed.what == "login").collect();
    assert_eq!(logins.len(), 2);
    assert_eq!(
        (logins[1].deed.name.as_str(), logins[1].deed.source.as_str()),
        ("bob", "127.0.0.1")
    );
}

#[tokio::test]
async fn the_cookie_is_for_http_alone_and_for_this_site_and_by_tls_for_that() {
    let office = Office::open().await;
    let body = json!({ "name": "bob", "password": PASSWORD });
    let answer = office.nobody().send("POST", "/api/v1/session", Some(&body), &[]).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("segue=") && cookie.ends_with("; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let office = Office::with(With {
        public: Some("https://voice.example.com"),
        is_loopback: false,
        ..With::default()
    })
    .await;
    let public = Browser {
        host: "voice.example.com".to_owned(),
        ..office.nobody()
    };
    let answer = public.send("POST", "/api/v1/session", Some(&body), &[]).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-segue=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
}

#[tokio::test]
async fn a_wrong_password_and_a_name_of_nobody_are_answered_alike() {
    let office = Office::open().await;
    let nobody = office.nobody();
    let mut told = Vec::new();
    for (name, password) in [("bob", "wrong horse"), ("mallory", PASSWORD), ("bob", ""), ("", "")] {
        let body = json!({ "name": name, "password": password });
        let answer = nobody.send("POST", "/api/v1/session", Some(&body), &[]).await;
        assert_eq!(answer.header("set-cookie"), None);
        told.push(answer.problem(401));
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "{told:?}");
    // Nobody waits for it.
    office.store.flush().unwrap();
    let failed: Vec<String> = office
        .store
        .audit(None, None, 10)
        .unwrap()
        .into_iter()
        .map(|done| format!("{} {}", done.deed.what, done.deed.object))
        .collect();
    assert_eq!(
        failed,
        ["login.failed bob", "login.failed bob"],
        "no word of names that nobody has"
    );
}

#[tokio::test]
async fn too_many_tries_are_told_to_wait() {
    let office = Office::open().await;
    let body = json!({ "name": "bob", "password": "wrong horse" });
    let mut statuses = Vec::new();
    for _ in 0..11 {
        let answer = office.nobody().send("POST", "/api/v1/session", Some(&body), &[]).await;
        statuses.push(answer.status);
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=30).contains(&wait), "{wait}");
            answer.problem(429);
        }
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10], 429);
    // Nor by the right password; others may.
    let right = json!({ "name": "bob", "password": PASSWORD });
    let answer = office.nobody().send("POST", "/api/v1/session", Some(&right), &[]).await;
    answer.problem(429);
    office.browser("eve").await;
}

#[tokio::test]
async fn a_proxy_of_ours_says_who_comes_and_no_one_else() {
    let office = Office::with(With {
        proxies: vec!["127.0.0.1/32"],
        ..With::default()
    })
    .await;
    let body = json!({ "name": "bob", "password": PASSWORD });
    let forwarded = [("X-Forwarded-For", "203.0.113.9, 192.0.2.7")];
    office
        .nobody()
        .send("POST", "/api/v1/session", Some(&body), &forwarded)
        .await;
    let office2 = Office::open().await;
    office2
        .nobody()
        .send("POST", "/api/v1/session", Some(&body), &forwarded)
        .await;
    let source = |office: &Office| office.store.audit(None, None, 1).unwrap()[0].deed.source.clone();
    assert_eq!(
        (source(&office), source(&office2)),
        ("192.0.2.7".to_owned(), "127.0.0.1".to_owned())
    );
}

#[tokio::test]
async fn a_change_without_the_token_against_forged_requests_is_refused() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let bob = office.browser("bob").await;
    let change = json!({ "heard": true });
    let path = "/api/v1/messages/01A";
    let eves = office.browser("eve").await.csrf.unwrap();
    for headers in [
        vec![],
        vec![("X-CSRF-Token", "x")],
        vec![("X-CSRF-Token", eves.as_str())],
    ] {
        let answer = bob.send("PATCH", path, Some(&change), &headers).await;
        assert_eq!(answer.problem(403)["code"], "csrf");
    }
    let answer = bob.raw_form("/messages/01A", "act=delete").await;
    assert_eq!(answer.status, 403);
    let answer = bob.raw_form("/messages/01A", "act=delete&csrf=x").await;
    assert_eq!(answer.status, 403);
    assert_eq!(office.store.message("01A").unwrap().heard_at_ms, None);
    // A browser says where a request was made.
    let cross = [("Sec-Fetch-Site", "cross-site")];
    bob.change_with("PATCH", path, Some(&change), &cross).await.problem(403);
    let login = json!({ "name": "bob", "password": PASSWORD });
    office
        .nobody()
        .send("POST", "/api/v1/session", Some(&login), &cross)
        .await
        .problem(403);
    // One that says so in no other way says its origin.
    for origin in ["http://evil.example", "null", "http://localhost.evil.example"] {
        let elsewhere = [("Origin", origin)];
        bob.change_with("PATCH", path, Some(&change), &elsewhere)
            .await
            .problem(403);
        let answer = office
            .nobody()
            .send("POST", "/api/v1/session", Some(&login), &elsewhere)
            .await;
        answer.problem(403);
    }
    let own = [("Origin", "http://localhost")];
    assert_eq!(bob.change_with("PATCH", path, Some(&change), &own).await.status, 200);
}

#[tokio::test]
async fn who_logs_in_anew_leaves_no_session_behind_and_a_line_break_leads_nowhere() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let first = office.browser("bob").await;
    let back = "act=pin&back=%2Fmessages%3Fq%3D%0D%0AX-Evil%3A+1";
    let answer = first.form("/messages/01A", back).await;
    assert_eq!(
        (answer.status, answer.header("location").as_deref()),
        (303, Some("/messages"))
    );
    let login = json!({ "name": "bob", "password": PASSWORD });
    let again = first.send("POST", "/api/v1/session", Some(&login), &[]).await;
    assert_eq!(again.status, 200);
    first.get("/api/v1/session").await.problem(401);
}

#[tokio::test]
async fn many_who_log_in_at_once_keep_nobody_else_waiting() {
    let office = Office::open().await;
    let login = json!({ "name": "bob", "password": "wrong horse" });
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..60 {
        let (nobody, login) = (office.nobody(), login.clone());
        let name = format!("nobody{n}");
        tries.spawn(async move {
            let body = json!({ "name": name, "password": login["password"] });
            nobody.send("POST", "/api/v1/session", Some(&body), &[]).await.status
        });
    }
    assert_eq!(office.nobody().get("/login").await.status, 200);
    let statuses = tries.join_all().await;
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert!(
        statuses.iter().all(|status| [401, 429, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(refused > 0, "{statuses:?}");
}

#[tokio::test]
async fn only_who_means_this_machine_is_answered() {
    let office = Office::open().await;
    let evil = Browser {
        host: "evil.example".to_owned(),
        ..office.browser("bob").await
    };
    evil.get("/api/v1/messages").await.problem(421);
    assert_eq!(evil.get("/login").await.status, 421);
    let office = Office::with(With {
        is_loopback: false,
        ..With::default()
    })
    .await;
    let problem = office.nobody().get("/api/v1/session").await.problem(403);
    assert!(problem["fix"].as_str().unwrap().contains("http.public"), "{problem}");
    let office = Office::with(With {
        public: Some("http://voice.example.com:8080"),
        is_loopback: false,
        ..With::default()
    })
    .await;
    for (host, status) in [
        ("voice.example.com:8080", 401),
        ("voice.example.com", 421),
        ("127.0.0.1", 421),
    ] {
        let browser = Browser {
            host: host.to_owned(),
            ..office.nobody()
        };
        browser.get("/api/v1/session").await.problem(status);
    }
}

#[tokio::test]
async fn a_link_logs_in_once_by_its_button() {
    let office = Office::open().await;
    let link = office.command().login_link("bob", Role::Subscriber, 60_000).unwrap();
    let path = format!("/login/link/{}", link.text());
    // Who only looks, as programs that read mail do, uses it not up.
    for _ in 0..2 {
        let page = office.nobody().get(&path).await;
        assert!(
            page.status == 200 && page.text().contains("logs you in once"),
            "{}",
            page.text()
        );
    }
    let mut bob = office.nobody();
    let answer = bob.raw_form(&path, "").await;
    assert_eq!((answer.status, answer.header("location").as_deref()), (303, Some("/")));
    bob.cookie = Some(answer.cookie());
    assert_eq!(bob.get("/api/v1/session").await.json()["name"], "bob");
    assert_eq!(office.nobody().raw_form(&path, "").await.status, 410);
    assert_eq!(office.nobody().get(&path).await.status, 410);
    let late = office.command().login_link("bob", Role::Subscriber, 0).unwrap();
    let answer = office
        .nobody()
        .raw_form(&format!("/login/link/{}", late.text()), "")
        .await;
    assert_eq!(answer.status, 410);
    // A new password ends what was begun by the old one.
    office
        .command()
        .set_password("bob", Role::Subscriber, Some("another horse"))
        .unwrap();
    bob.get("/api/v1/session").await.problem(401);
}

/// Milliseconds that the clock of the test below is ahead.
static AHEAD: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_in_the_end_anyway() {
    let office = Office::with(With {
        now: || now() + AHEAD.load(Relaxed),
        ..With::default()
    })
    .await;
    let bob = office.browser("bob").await;
    let hour = 3_600_000;
    for half_hours in 1..48 {
        AHEAD.store(half_hours * hour / 2, Relaxed);
        assert_eq!(bob.get("/api/v1/session").await.status, 200, "{half_hours}");
        // That it was used is written down beside.
        office.store.flush().unwrap();
    }
    AHEAD.store(24 * hour + 1_000, Relaxed);
    bob.get("/api/v1/session").await.problem(401);
    let eve = office.browser("eve").await;
    AHEAD.fetch_add(hour + 1_000, Relaxed);
    eve.get("/api/v1/session").await.problem(401);
}

#[tokio::test]
async fn the_login_page_leads_back_to_where_one_came_from() {
    let office = Office::open().await;
    let nobody = office.nobody();
    let sent = nobody.get("/messages?q=a%20b").await;
    let location = sent.header("location").unwrap();
    assert_eq!(
        (sent.status, location.as_str()),
        (303, "/login?next=%2Fmessages%3Fq%3Da%2520b")
    );
    let page = nobody.get(&location).await.text();
    assert!(page.contains(r#"name="next" value="/messages?q=a%20b""#), "{page}");
    let form = format!(
        "name=bob&password={}&next=%2Fmessages%3Fq%3Da",
        PASSWORD.replace(' ', "+")
    );
    let answer = nobody.raw_form("/login", &form).await;
    assert_eq!(
        (answer.status, answer.header("location").as_deref()),
        (303, Some("/messages?q=a"))
    );
    let evil = form.replace("next=%2Fmessages", "next=%2F%2Fevil.example");
    assert_eq!(
        nobody.raw_form("/login", &evil).await.header("location").as_deref(),
        Some("/")
    );
    let wrong = nobody.raw_form("/login", "name=bob&password=wrong").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains("name or password is wrong"), "{}", wrong.text());
}

/// What a login gives a browser to be known by, as it is sent back.
fn device(answer: &fixture::Answer) -> String {
    let set = answer.head.lines().find(|line| line.contains("segue-device=")).unwrap();
    assert!(set.ends_with("; HttpOnly; SameSite=Strict"), "{set}");
    let (_, cookie) = set.split_once(": ").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn who_has_logged_in_before_is_not_kept_out_by_others_who_guess() {
    const AT: &str = "/api/v1/session";
    let office = Office::open().await;
    let nobody = office.nobody();
    let (right, wrong) = (
        json!({ "name": "bob", "password": PASSWORD }),
        json!({ "name": "bob", "password": "wrong horse" }),
    );
    let known = device(&nobody.send("POST", AT, Some(&right), &[]).await);
    for _ in 0..10 {
        nobody.send("POST", AT, Some(&wrong), &[]).await.problem(401);
    }
    nobody.send("POST", AT, Some(&right), &[]).await.problem(429);
    let forged = known.replace('.', "0.");
    let of_eve = json!({ "name": "eve", "password": PASSWORD });
    let eves = device(&nobody.send("POST", AT, Some(&of_eve), &[]).await);
    for other in [forged.as_str(), &eves] {
        let headers = [("Cookie", other)];
        nobody.send("POST", AT, Some(&right), &headers).await.problem(429);
    }
    let headers = [("Cookie", known.as_str())];
    let again = nobody.send("POST", AT, Some(&right), &headers).await;
    assert_eq!(again.status, 200, "{}", again.text());
    let body = format!("name=bob&password={}", PASSWORD.replace(' ', "+"));
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let by_form = nobody
        .bytes("POST", "/login", body.as_bytes(), &[kind, headers[0]])
        .await;
    assert_eq!(by_form.status, 303, "{}", by_form.text());
    device(&by_form);
    // It may guess no more than another, and what it is given anew counts on.
    let renewed = device(&again);
    for n in 0..10 {
        let headers = [("Cookie", [known.as_str(), &renewed][n % 2])];
        nobody.send("POST", AT, Some(&wrong), &headers).await.problem(401);
    }
    for known in [known.as_str(), &renewed] {
        let headers = [("Cookie", known)];
        nobody.send("POST", AT, Some(&right), &headers).await.problem(429);
    }
}

#[tokio::test]
async fn with_another_password_no_browser_is_known_any_more() {
    const AT: &str = "/api/v1/session";
    let office = Office::open().await;
    let nobody = office.nobody();
    let old = json!({ "name": "bob", "password": PASSWORD });
    let known = device(&nobody.send("POST", AT, Some(&old), &[]).await);
    office
        .command()
        .set_password("bob", Role::Subscriber, Some("another horse 7"))
        .unwrap();
    for _ in 0..10 {
        nobody.send("POST", AT, Some(&old), &[]).await.problem(401);
    }
    let new = json!({ "name": "bob", "password": "another horse 7" });
    let headers = [("Cookie", known.as_str())];
    nobody.send("POST", AT, Some(&new), &headers).await.problem(429);
}

#[tokio::test]
async fn who_has_come_by_a_link_is_not_kept_out_by_others_who_guess_either() {
    const AT: &str = "/api/v1/session";
    let office = Office::open().await;
    let nobody = office.nobody();
    let link = |within_ms| {
        let made = office.command().login_link("bob", Role::Subscriber, within_ms).unwrap();
        format!("/login/link/{}", made.text())
    };
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let come = |headers: Vec<(&'static str, String)>, link: String| {
        let nobody = nobody.clone();
        async move {
            let mut all = vec![kind];
            all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            nobody.bytes("POST", &link, b"", &all).await
        }
    };
    let first = come(Vec::new(), link(60_000)).await;
    assert_eq!(first.status, 303, "{}", first.text());
    let known = device(&first);
    let (right, wrong) = (
        json!({ "name": "bob", "password": PASSWORD }),
        json!({ "name": "bob", "password": "wrong horse" }),
    );
    for _ in 0..10 {
        nobody.send("POST", AT, Some(&wrong), &[]).await.problem(401);
    }
    nobody.send("POST", AT, Some(&right), &[]).await.problem(429);
    let by = |known: &str, body: &serde_json::Value| {
        let (nobody, known, body) = (nobody.clone(), known.to_owned(), body.clone());
        async move {
            nobody
                .send("POST", AT, Some(&body), &[("Cookie", known.as_str())])
                .await
        }
    };
    assert_eq!(by(&known, &right).await.status, 200);
    // Another link gives no further tries.
    for _ in 0..10 {
        by(&known, &wrong).await.problem(401);
    }
    let again = come(vec![("Cookie", known.clone())], link(60_000)).await;
    by(&device(&again), &right).await.problem(429);
    // Who has no password has none to be guessed.
    office.command().set_password("bob", Role::Subscriber, None).unwrap();
    let plain = come(Vec::new(), link(60_000)).await;
    assert!(
        plain.status == 303 && !plain.head.contains("segue-device="),
        "{}",
        plain.head
    );
}
