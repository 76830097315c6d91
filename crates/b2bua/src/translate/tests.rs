use super::*;

#[test]
fn the_profile_says_what_a_callee_is_told_of_100rel() {
    use ReliableToCallee::{Never, Required, Supported};
    for (reliable_to_callee, supported, required) in [
        (Supported, vec!["100rel", "199"], vec![]),
        (Required, vec!["199"], vec!["100rel"]),
        (Never, vec!["199"], vec![]),
    ] {
        let invite = LegAction::Invite {
            target: "sip:bob@192.0.2.2:5070".parse().unwrap(),
            way: Box::default(),
            from: "sip:alice@192.0.2.1".parse().unwrap(),
            from_name: None,
            sdp: Arc::from(*b""),
            max_forwards: 69,
            max_breadth: 60,
            trail: Trail {
                entries: Vec::new(),
                redirected: None,
                by: Vec::new(),
            },
            note: None,
        };
        let a = Peer {
            protocol: segue_sip::Protocol::Udp,
            local: "192.0.2.9:5060".parse().unwrap(),
            remote: "192.0.2.1:5060".parse().unwrap(),
            flow: None,
        };
        let mut made = outgoing(invite, &a, SessionUuid::random(1)).unwrap();
        assert_eq!(made.remote().map(|at| at.ip()), Some("192.0.2.2".parse().unwrap()));
        let profile = Profile {
            reliable_to_callee,
            ..Profile::default()
        };
        reliable(&mut made, &profile, &Profile::default());
        assert_eq!((made.supported, made.required), (supported, required));
    }
}

#[test]
fn a_note_stays_in_its_headers() {
    let [(_, subject), (_, info)] = note_headers("Bleibt dran: \"schön\", 100 %>\r\nVia: x");
    assert_eq!(subject, "Bleibt dran: \"schön\", 100 %>Via: x");
    assert_eq!(
        info,
        "<data:text/plain;charset=utf-8,Bleibt%20dran%3A%20%22sch%C3%B6n%22%2C%20100%20%25%3EVia%3A%20x>;purpose=info"
    );
}

#[test]
fn our_note_stands_beside_what_the_caller_says_once() {
    let [(_, subject), (_, info)] = note_headers("A stays");
    let said = |theirs: &[(&str, &str)]| {
        let mut headers: Vec<(String, String)> =
            theirs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        for (name, ours) in note_headers("A stays") {
            say_too(&mut headers, name, ours);
        }
        headers
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let ours = [pair("Subject", &subject), pair("Call-Info", &info)];
    assert_eq!(said(&[]), ours);
    assert_eq!(
        said(&[("Call-Info", "<https://x>;purpose=icon"), ("Subject", "Lunch")]),
        [
            pair("Call-Info", "<https://x>;purpose=icon"),
            pair("Subject", "Lunch (A stays)"),
            pair("Call-Info", &info),
        ]
    );
    // A server before us has said it.
    assert_eq!(said(&[("Subject", "Lunch (A stays)"), ("Call-Info", &info)]).len(), 2);
    assert_eq!(said(&[("Subject", &subject), ("Call-Info", &info)]), ours);
}

#[test]
fn what_a_caller_dialled_is_one_word_of_the_command_that_would_admit_it() {
    assert_eq!(shell_word("sip:bob@ADDRESS:PORT"), "sip:bob@ADDRESS:PORT");
    assert_eq!(shell_word("x;reboot $(id)"), "'x;reboot $(id)'");
    assert_eq!(shell_word("o'hara"), r"'o'\''hara'");
    assert_eq!(shell_word(""), "''");
}

#[test]
fn a_refused_route_is_told_with_the_entry_that_admits_it() {
    let refused = |why: &str| {
        let mut record = CallRecord::begun("01A".to_owned(), "c@a".to_owned(), segue_records::UnixMs(0));
        record.cause = Some(403);
        record.why = why.to_owned();
        line_that_admits(&record)
    };
    let route =
        refused("sip:+49@x is not here, and no entry of the profile's destinations admits its Route to 192.0.2.9.");
    assert!(
        route.starts_with("add \"192.0.2.9\" to `destinations` in the caller's profile"),
        "{route}"
    );
    let callee = refused("sip:+49@x is not here, and no entry of the profile's destinations admits +49");
    assert!(callee.starts_with("name the callee or the place"), "{callee}");
}
