//! How a call came here and where it goes on.

use segue_policy::{History, Profile, RedirectUri};

use crate::node::{Node, PHONE_A, PHONE_B, SDP, TRUNK_A, TRUNK_B, further, pairs};

/// B's phone sends on to carol beside it, where the profile allows that.
fn redirected(a: &'static str, b: &'static str, lines: &str, change: impl Fn(&mut Profile)) -> Node {
    let mut node = Node::new(a, b, |profile| {
        profile.redirect_targets = vec!["10.0.0.0/8".parse().unwrap()];
        change(profile);
    });
    node.calls(lines);
    let contact = format!("Contact: <sip:carol@{b}>\r\n");
    node.b_says("302 Moved Temporarily", &contact, "text/plain", b"");
    assert_eq!(node.to_b("INVITE").len(), 2);
    node
}

fn told(node: &Node) -> Vec<(String, String)> {
    let mut further = further(&node.invite());
    further.retain(|(name, _)| ["History-Info", "Diversion", "Privacy"].contains(&name.as_str()));
    further
}

const DIALLED: &str = "sip:bob@10.0.0.1:5060";

#[test]
fn a_profile_says_how_its_side_is_told() {
    let history = format!(
        "<{DIALLED}>;index=1, <sip:phone@{PHONE_B}?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1, <sip:carol@{PHONE_B}>;index=1.2"
    );
    let diversion = format!("<{DIALLED}>;reason=unconditional;counter=1");
    for (kind, expected) in [
        (History::HistoryInfo, vec![("History-Info", history.as_str())]),
        (History::Diversion, vec![("Diversion", diversion.as_str())]),
        (
            History::Both,
            vec![("History-Info", history.as_str()), ("Diversion", diversion.as_str())],
        ),
        (History::None, vec![]),
    ] {
        let node = redirected(PHONE_A, PHONE_B, "", |profile| profile.history = kind);
        assert_eq!(pairs(&told(&node)), expected);
        assert_eq!(
            node.invite().request_uri().unwrap().to_string(),
            format!("sip:carol@{PHONE_B}")
        );
    }
}

const HISTORY: &str = "History-Info: <sip:ann@x.example?Reason=SIP%3Bcause%3D486>;index=1\r\n\
                       History-Info: <sip:bob@10.0.0.1:5060;cause=486>;index=1.1;mp=1\r\n";

#[test]
fn what_was_said_before_goes_on_and_ours_is_added() {
    let node = redirected(TRUNK_A, TRUNK_B, HISTORY, |profile| profile.history = History::Both);
    assert_eq!(
        pairs(&told(&node)),
        [
            (
                "History-Info",
                format!(
                    "<sip:ann@x.example?Reason=SIP%3Bcause%3D486>;index=1, <{DIALLED};cause=486>;index=1.1;mp=1, \
                     <sip:phone@{TRUNK_B}?Reason=SIP%3Bcause%3D302>;index=1.1.1;mp=1.1, <sip:carol@{TRUNK_B}>;index=1.1.2"
                )
                .as_str()
            ),
            (
                "Diversion",
                format!("<{DIALLED}>;reason=unconditional;counter=1, <sip:ann@x.example>;reason=user-busy").as_str()
            ),
        ]
    );
    // Where nothing happens here, it goes on all the same.
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls(HISTORY);
    let (_, history) = told(&node).remove(0);
    assert!(
        history.ends_with(&format!(", <sip:phone@{TRUNK_B}>;index=1.1.1;mp=1.1")),
        "{history}"
    );
}

#[test]
fn where_the_last_entry_is_another_a_gap_is_told() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls("History-Info: <sip:ann@x.example>;index=1.2\r\n");
    let expected = format!(
        "<sip:ann@x.example>;index=1.2, <{DIALLED}>;index=1.2.0.1, <sip:phone@{TRUNK_B}>;index=1.2.0.1.1;mp=1.2.0.1"
    );
    assert_eq!(pairs(&told(&node)), [("History-Info", expected.as_str())]);
}

#[test]
fn diversion_becomes_history_and_the_other_way() {
    let lines = "Diversion: <sip:cid@x.example>;reason=no-answer;counter=1\r\nDiversion: <sip:ann@x.example>;reason=user-busy\r\n";
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls(lines);
    let expected = format!(
        "<sip:ann@x.example>;index=1, <sip:cid@x.example;cause=486>;index=1.1;mp=1, <{DIALLED};cause=408>;index=1.1.1;mp=1.1, \
         <sip:phone@{TRUNK_B}>;index=1.1.1.1;mp=1.1.1"
    );
    assert_eq!(pairs(&told(&node)), [("History-Info", expected.as_str())]);
    let mut node = Node::new(TRUNK_A, TRUNK_B, |profile| profile.history = History::Diversion);
    node.calls(&format!("History-Info: {expected}\r\n"));
    assert_eq!(
        pairs(&told(&node)),
        [(
            "Diversion",
            "<sip:cid@x.example;cause=486>;reason=no-answer, <sip:ann@x.example>;reason=user-busy"
        )]
    );
}

#[test]
fn outside_the_trust_domain_nobody_hears_who_wants_to_stay_unknown() {
    let lines = "History-Info: <sip:ann@x.example?Privacy=history&Reason=SIP%3Bcause%3D486>;index=1, <sip:bob@10.0.0.1:5060>;index=1.1\r\n";
    let both = |profile: &mut Profile| profile.history = History::Both;
    let mut node = Node::new(TRUNK_A, PHONE_B, both);
    node.calls(lines);
    let nobody = "<sip:anonymous@anonymous.invalid>;index=1, ";
    assert_eq!(told(&node).len(), 1, "no Diversion of hers");
    assert!(
        told(&node)[0].1.starts_with(&format!("{nobody}<{DIALLED}>;index=1.1")),
        "{:?}",
        told(&node)
    );
    // All of it, when the caller wants that; the wish is fulfilled then.
    let mut node = Node::new(TRUNK_A, PHONE_B, both);
    node.calls(&format!("{lines}Privacy: history\r\n"));
    let told_all = told(&node);
    assert_eq!(
        (
            told_all.len(),
            told_all[0].1.matches("anonymous@anonymous.invalid").count()
        ),
        (1, 3)
    );
    // Within, it goes on as it came.
    let mut node = Node::new(TRUNK_A, TRUNK_B, both);
    node.calls(&format!("{lines}Privacy: history\r\n"));
    assert_eq!(node.invite().header("Privacy"), Some("history"));
    let told_within = told(&node);
    assert!(
        told_within
            .iter()
            .any(|(_, value)| value.contains("ann@x.example?Privacy=history")),
        "{told_within:?}"
    );
    assert!(
        told_within
            .iter()
            .any(|(_, value)| value.ends_with("<sip:ann@x.example>;reason=user-busy;privacy=full"))
    );
}

#[test]
fn where_we_send_on_the_uri_says_target_and_cause() {
    for (how, params) in [
        (RedirectUri::AsItIs, ""),
        (RedirectUri::Cause, ";cause=302"),
        (RedirectUri::TargetAndCause, ";target=sip:bob%4010.0.0.1:5060;cause=302"),
    ] {
        let node = redirected(PHONE_A, PHONE_B, "", |profile| profile.redirect_uri = how);
        assert_eq!(
            node.invite().request_uri().unwrap().to_string(),
            format!("sip:carol@{PHONE_B}{params}")
        );
    }
}

#[test]
fn who_is_sent_on_to_a_mailbox_is_neither_held_nor_rung_for() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    let uri = "sip:mailbox@10.0.0.1:5060;target=sip:bob%40example.com;cause=486";
    node.asks_for(uri, "", "application/sdp", SDP.as_bytes());
    assert_eq!(node.looked_up, ["bob"]);
    assert!(node.to_b("INVITE").is_empty());
    assert_eq!(node.to_a(200).len(), 1);
    node.a_asks("ACK", "");
    node.wait(1_000);
    assert_eq!(node.recordings[0].mailbox, "bob");
    node.a_asks("BYE", "");
    node.wait(40_000);
}

#[test]
fn a_number_for_mailboxes_counts_from_trusted_sides_only() {
    let lines = "Diversion: <sip:bob@x.example>;reason=no-answer\r\n";
    for (a, whom) in [(TRUNK_A, "bob"), (PHONE_A, "voicemail")] {
        let mut node = Node::new(a, PHONE_B, |profile| profile.mailbox_users = vec!["voicemail".into()]);
        node.asks_for("sip:voicemail@10.0.0.1:5060", lines, "application/sdp", SDP.as_bytes());
        assert_eq!(node.looked_up, [whom]);
    }
}

/// History-Info and Diversion of the responses that A got, by status.
fn returned(node: &Node, status: u16) -> Vec<(String, String)> {
    let mut all: Vec<_> = node.to_a(status).iter().flat_map(further).collect();
    all.retain(|(name, _)| ["History-Info", "Diversion"].contains(&name.as_str()));
    all
}

#[test]
fn a_trusted_caller_who_knows_it_is_told_the_way_in_responses() {
    let way = format!("<{DIALLED}>;index=1, <sip:phone@{TRUNK_B}>;index=1.1;mp=1");
    for (a, supported, told) in [
        (TRUNK_A, "Supported: histinfo\r\n", true),
        (TRUNK_A, "", false),
        // The targets of a subscriber are nothing for everybody.
        (PHONE_A, "Supported: histinfo\r\n", false),
    ] {
        let mut node = Node::new(a, TRUNK_B, |_| ());
        node.calls(supported);
        node.b_says("180 Ringing", "", "text/plain", b"");
        node.b_answers("");
        let expected = if told {
            vec![("History-Info", way.as_str())]
        } else {
            vec![]
        };
        for status in [180, 200] {
            assert_eq!(pairs(&returned(&node, status)), expected, "{a} {supported} {status}");
        }
    }
}

#[test]
fn what_a_trusted_callee_says_of_its_own_way_is_put_in_its_place() {
    let on = "History-Info: <sip:carol@c.example>;index=1.1.1;rc=1.1, <sip:old@x.example>;index=1\r\n";
    let way = format!("<{DIALLED}>;index=1, <sip:phone@{TRUNK_B}>;index=1.1;mp=1");
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls("Supported: histinfo\r\n");
    node.b_says("181 Call Is Being Forwarded", on, "text/plain", b"");
    let expected = format!("{way}, <sip:carol@c.example>;index=1.1.1;rc=1.1");
    assert_eq!(pairs(&returned(&node, 181)), [("History-Info", expected.as_str())]);
    let mut node = Node::new(TRUNK_A, PHONE_B, |_| ());
    node.calls("Supported: histinfo\r\n");
    node.b_says("181 Call Is Being Forwarded", on, "text/plain", b"");
    let expected = format!("<{DIALLED}>;index=1, <sip:phone@{PHONE_B}>;index=1.1;mp=1");
    assert_eq!(
        pairs(&returned(&node, 181)),
        [("History-Info", expected.as_str())],
        "who is not trusted says none"
    );
}

#[test]
fn a_refusal_tells_where_the_call_was_given_up() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.plain = true;
    node.calls(HISTORY);
    node.b_says("486 Busy Here", "", "text/plain", b"");
    let expected = format!(
        "<sip:ann@x.example?Reason=SIP%3Bcause%3D486>;index=1, <{DIALLED};cause=486>;index=1.1;mp=1, \
         <sip:phone@{TRUNK_B}?Reason=SIP%3Bcause%3D486>;index=1.1.1;mp=1.1"
    );
    assert_eq!(pairs(&returned(&node, 486)), [("History-Info", expected.as_str())]);
}

const DIVERTED: &str = "Diversion: <sip:bob.home@b.example>;reason=no-answer;counter=2\r\n";

#[test]
fn diversion_of_a_3xx_goes_on_with_the_call() {
    let sends_on = |b: &'static str| {
        let mut node = Node::new(TRUNK_A, b, |profile| {
            profile.redirect_targets = vec!["10.0.0.0/8".parse().unwrap()];
            profile.history = History::Diversion;
        });
        node.calls("Diversion: <sip:ann@x.example>;reason=user-busy\r\n");
        let lines = format!("Contact: <sip:carol@{b}>\r\n{DIVERTED}");
        node.b_says("302 Moved Temporarily", &lines, "text/plain", b"");
        told(&node)
    };
    let before = "<sip:ann@x.example>;reason=user-busy";
    let theirs = format!("<sip:bob.home@b.example>;reason=no-answer;counter=2, {before}");
    assert_eq!(pairs(&sends_on(TRUNK_B)), [("Diversion", theirs.as_str())]);
    let ours = format!("<{DIALLED}>;reason=unconditional;counter=1, {before}");
    assert_eq!(
        pairs(&sends_on(PHONE_B)),
        [("Diversion", ours.as_str())],
        "only trusted sides say who diverted"
    );
}

#[test]
fn diversion_of_a_3xx_that_is_not_followed_goes_back_within_the_trust_domain() {
    for (a, b, told) in [
        (TRUNK_A, TRUNK_B, true),
        (PHONE_A, TRUNK_B, false),
        (TRUNK_A, PHONE_B, false),
    ] {
        let mut node = Node::new(a, b, |_| ());
        node.plain = true;
        node.calls("");
        node.b_says(
            "302 Moved Temporarily",
            &format!("Contact: <sip:carol@c.example>\r\n{DIVERTED}"),
            "text/plain",
            b"",
        );
        let expected = ("Diversion", "<sip:bob.home@b.example>;reason=no-answer;counter=2");
        let expected = if told { vec![expected] } else { vec![] };
        assert_eq!(pairs(&returned(&node, 302)), expected);
        assert_eq!(node.to_a(302)[0].header("Contact"), Some("<sip:carol@c.example>"));
    }
}
