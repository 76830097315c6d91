//! Numbers of subscribers, and `segue number explain`.

use std::fs;

use crate::fixture::Segue;
use serde_json::json;

fn segue() -> Segue {
    let segue = Segue::new();
    let profiles = segue.dir().join("sip-profiles");
    fs::create_dir(&profiles).unwrap();
    let text = "name = \"berlin\"\nsources = [\"127.0.0.0/8\"]\ncountry_code = \"49\"\narea_code = \"30\"\n\
                number_rules = [\"8* -> +4930765*\"]\n";
    fs::write(profiles.join("berlin.toml"), text).unwrap();
    segue
}

#[test]
fn a_subscriber_is_found_by_its_numbers_and_explain_says_why() {
    let segue = segue();
    let bob = ["subscriber", "add", "bob", "--target", "as-called"];
    let added = segue.json(&[&bob[..], &["--number", "030 123-456", "--number", "+4930765100"]].concat());
    assert_eq!(added["numbers"], json!(["+4930123456", "+4930765100"]));
    assert_eq!(added["targets"], json!(["as-called"]));
    let explained = segue.json(&["number", "explain", "sip:8100@pbx;user=phone"]);
    assert_eq!(
        explained,
        json!({"value": "sip:8100@pbx;user=phone", "profile": "berlin", "number": "+4930765100",
               "rule": "number_rules: 8* -> +4930765*", "subscriber": "bob"})
    );
    let text = segue.ok(&["number", "explain", "tel:+44-20-7946-0000", "--profile", "berlin"]);
    assert!(
        text.contains("+442079460000 (it is in E.164 already; profile berlin); nobody here has it"),
        "{text}"
    );
    let none = segue.json(&["number", "explain", "bob"]);
    assert_eq!(
        (&none["number"], &none["rule"]),
        (&json!(null), &json!("it is no number"))
    );
    // What is not named stays; all numbers are named at once.
    let changed = segue.json(&["subscriber", "set", "bob", "--hold", "6s"]);
    assert_eq!(changed["numbers"], added["numbers"]);
    let changed = segue.json(&["subscriber", "set", "bob", "--number", "8100"]);
    assert_eq!(changed["numbers"], json!(["+4930765100"]));
    assert_eq!(
        segue.json(&["subscriber", "set", "bob", "--number", "none"])["numbers"],
        json!([])
    );
}

#[test]
fn a_number_is_one_subscribers_alone() {
    let segue = segue();
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--number",
        "+4930123456",
    ]);
    let eve = [
        "subscriber",
        "add",
        "eve",
        "--target",
        "sip:eve@127.0.0.1",
        "--number",
        "030123456",
    ];
    let (_, line) = segue.fails(1, &eve);
    assert!(
        line.contains("the number +4930123456 is that of subscriber 'bob'; fix: take it from them"),
        "{line}"
    );
    segue.ok(&["subscriber", "remove", "bob"]);
    assert_eq!(segue.json(&eve)["numbers"], json!(["+4930123456"]));
    let (_, line) = segue.fails(2, &["subscriber", "set", "eve", "--number", "eve"]);
    assert!(
        line.contains("is no number that any profile knows: it is no number"),
        "{line}"
    );
    let (_, line) = segue.fails(2, &["number", "explain", "1", "--profile", "paris"]);
    assert!(
        line.contains("there is no profile paris; fix: name one of berlin"),
        "{line}"
    );
}
