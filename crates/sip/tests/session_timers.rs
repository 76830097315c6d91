//! Session timers (RFC 4028): what is agreed, who refreshes, and what ends a session that nobody refreshes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::*;
use segue_sip::{CommandError, Outgoing, Refreshes, SessionId, SessionInterval};
use segue_sip_wire::Message;

fn wish(expires_s: u32, min_se_s: u32, refreshes: Refreshes) -> SessionInterval {
    SessionInterval {
        expires_s,
        min_se_s,
        refreshes,
    }
}

const NONE: SessionInterval = SessionInterval {
    expires_s: 0,
    min_se_s: 0,
    refreshes: Refreshes::Negotiated,
};

/// A call between two that want these intervals.
fn talk(seed: u64, a: SessionInterval, b: SessionInterval) -> (Net, SessionId, SessionId) {
    let mut net = Net::new(seed);
    let outgoing = Outgoing {
        interval: a,
        ..net.outgoing()
    };
    let (a, called) = net.call_with(outgoing);
    net.endpoints[B].want_interval(called, b).unwrap();
    net.answer(called, Some(sdp("answer")));
    net.run_ms(100);
    (net, a, called)
}

/// The last message of this kind that an agent has sent.
fn last<'a>(net: &'a Net, agent: usize, line: &str) -> &'a Message {
    let mut of = net
        .sent
        .iter()
        .filter(|(from, _, m, _)| *from == agent && brief(m) == line);
    let (.., message, _) = of.next_back().unwrap_or_else(|| panic!("{agent} never said {line}"));
    message
}

fn seconds(net: &Net, agent: usize, line: &str) -> Vec<u128> {
    net.times(agent, line).iter().map(|ms| ms / 1_000).collect()
}

#[test]
fn each_request_says_that_we_know_timers_and_a_plain_call_has_none() {
    let (mut net, a, _) = talk(1, NONE, NONE);
    assert!(last(&net, A, "INVITE").has_token("Supported", "timer"));
    assert!(last(&net, B, "200 INVITE").has_token("Supported", "timer"));
    for line in ["INVITE", "200 INVITE"] {
        let said = last(&net, if line == "INVITE" { A } else { B }, line);
        assert_eq!((said.session_expires(), said.min_se()), (None, None));
        assert!(!said.has_token("Require", "timer"));
    }
    net.run(Duration::from_secs(7_200));
    assert_eq!(net.sent_by(A, "UPDATE") + net.sent_by(B, "UPDATE"), 0);
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.run_ms(10);
    assert!(last(&net, A, "BYE").has_token("Supported", "timer"));
    assert!(!last(&net, A, "ACK").has_token("Supported", "timer"));
}

#[test]
fn the_caller_asks_and_refreshes_at_half_the_interval_by_update_without_an_offer() {
    let (mut net, a, _) = talk(2, wish(600, 90, Refreshes::We), NONE);
    let header = |m: &Message, name: &str| m.header(name).map(str::to_owned);
    assert_eq!(
        header(last(&net, A, "INVITE"), "Session-Expires").as_deref(),
        Some("600;refresher=uac")
    );
    let answer = last(&net, B, "200 INVITE");
    assert_eq!(header(answer, "Session-Expires").as_deref(), Some("600;refresher=uac"));
    assert!(answer.has_token("Require", "timer"));
    net.run(Duration::from_secs(3_000));
    assert_eq!(
        seconds(&net, A, "UPDATE"),
        [300, 600, 900, 1_200, 1_500, 1_800, 2_100, 2_400, 2_700, 3_000]
    );
    let update = last(&net, A, "UPDATE");
    assert_eq!(header(update, "Session-Expires").as_deref(), Some("600;refresher=uac"));
    assert!(update.body().is_empty() && update.has_token("Supported", "timer"));
    let answer = last(&net, B, "200 UPDATE");
    assert_eq!(header(answer, "Session-Expires").as_deref(), Some("600;refresher=uac"));
    assert_eq!(net.told(B), ["Incoming", "Acked"], "nobody hears of refreshes");
    assert_eq!(net.told(A), ["Answered"]);
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.assert_nothing_left();
}

#[test]
fn the_callee_refreshes_where_it_wants_to_and_the_caller_leaves_it_open() {
    let (mut net, a, _) = talk(3, wish(600, 90, Refreshes::Negotiated), wish(200, 90, Refreshes::We));
    assert_eq!(last(&net, A, "INVITE").header("Session-Expires"), Some("600"));
    // The callee may have it shorter.
    assert_eq!(
        last(&net, B, "200 INVITE").header("Session-Expires"),
        Some("200;refresher=uas")
    );
    net.run(Duration::from_secs(420));
    assert_eq!(seconds(&net, B, "UPDATE"), [100, 200, 300, 400]);
    assert_eq!(
        last(&net, B, "UPDATE").header("Session-Expires"),
        Some("200;refresher=uac"),
        "the one who asks is the UAC of this request"
    );
    assert_eq!(net.sent_by(A, "UPDATE"), 0);
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.assert_nothing_left();
}

#[test]
fn a_callee_may_want_a_timer_that_the_caller_did_not_ask_for() {
    let (mut net, a, _) = talk(4, NONE, wish(300, 120, Refreshes::Peer));
    let answer = last(&net, B, "200 INVITE");
    assert_eq!(answer.header("Session-Expires"), Some("300;refresher=uac"));
    assert!(answer.has_token("Require", "timer"));
    net.run(Duration::from_secs(310));
    assert_eq!(seconds(&net, A, "UPDATE"), [150, 300]);
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.assert_nothing_left();
}

#[test]
fn who_is_no_longer_refreshed_says_bye_with_a_reason_before_the_session_expires() {
    for (seed, refreshes, gone, left) in [(5, Refreshes::We, A, B), (6, Refreshes::Peer, B, A)] {
        let (mut net, ..) = talk(seed, wish(300, 90, refreshes), NONE);
        net.judge = Box::new(move |from, _| if from == gone { Fate::Lose } else { Fate::Deliver });
        net.run(Duration::from_secs(400));
        // 300 s less 32 s.
        assert_eq!(seconds(&net, left, "BYE")[0], 268);
        let reason = last(&net, left, "BYE").header("Reason");
        assert_eq!(reason, Some("SIP;cause=408;text=\"Session expired\""));
        assert_eq!(net.told(left)[1..].iter().filter(|told| *told == "Bye").count(), 1);
        assert_eq!(net.endpoints[left].stats().expired, 1);
        net.assert_nothing_left();
    }
}

#[test]
fn a_peer_that_answers_a_refresh_no_more_gets_bye() {
    let (mut net, ..) = talk(7, wish(300, 90, Refreshes::We), NONE);
    net.judge = Box::new(|from, _| if from == B { Fate::Lose } else { Fate::Deliver });
    net.run(Duration::from_secs(200));
    // 32 s after the refresh at 150 s.
    assert_eq!(seconds(&net, A, "BYE")[0], 182);
    assert_eq!(last(&net, A, "BYE").header("Reason"), Some("SIP;cause=408"));
    net.assert_nothing_left();
}

#[test]
fn too_short_an_interval_gets_422_and_the_caller_asks_again_for_a_longer_one() {
    let mut net = Net::new(8);
    let outgoing = Outgoing {
        interval: wish(120, 90, Refreshes::We),
        ..net.outgoing()
    };
    let (_, b) = net.call_with(outgoing);
    let refusal = net.endpoints[B].want_interval(b, wish(1_800, 600, Refreshes::Negotiated));
    assert_eq!(refusal, Err(CommandError::IntervalTooSmall { min_se_s: 600 }));
    let min_se = [("Min-SE", "600".to_owned())];
    net.endpoints[B].refuse(net.now, b, 422, &min_se).unwrap();
    net.run_ms(100);
    let invites: Vec<Message> = net
        .sent
        .iter()
        .filter(|(_, _, m, _)| brief(m) == "INVITE")
        .map(|(_, _, m, _)| m.clone())
        .collect();
    let [first, second] = invites.as_slice() else {
        panic!("{} INVITEs", invites.len())
    };
    assert_eq!(second.header("Session-Expires"), Some("600;refresher=uac"));
    assert_eq!(second.header("Min-SE"), Some("600"));
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    for same in [
        "Call-ID",
        "From",
        "To",
        "Contact",
        "Subject",
        "Max-Forwards",
        "Content-Type",
    ] {
        assert_eq!(second.header(same), first.header(same), "{same}");
        assert_eq!(second.headers(same).count(), 1, "{same}");
    }
    assert_eq!(second.body(), first.body());
    assert_ne!(second.top_via().unwrap().branch(), first.top_via().unwrap().branch());
    let b = net.events[B].iter().rev().find_map(|event| match event {
        segue_sip::Event::Incoming { session, .. } => Some(*session),
        _ => None,
    });
    net.endpoints[B]
        .want_interval(b.unwrap(), wish(1_800, 600, Refreshes::Negotiated))
        .unwrap();
    net.answer(b.unwrap(), Some(sdp("answer")));
    net.run(Duration::from_secs(310));
    assert_eq!(net.told(A), ["Answered"]);
    assert_eq!(seconds(&net, A, "UPDATE"), [300]);
    // Within the dialog only what it has been told there counts (§7.4): it was told of 600 s for the INVITE of this Call-ID.
    assert_eq!(
        last(&net, A, "UPDATE").header("Session-Expires"),
        Some("600;refresher=uac")
    );
}

#[test]
fn a_422_that_asks_for_nothing_longer_or_comes_again_and_again_fails_the_call() {
    for longer in [false, true] {
        let mut script = Script::of(endpoint(A, 9));
        let outgoing = Outgoing {
            interval: wish(120, 90, Refreshes::We),
            ..Net::new(9).outgoing()
        };
        script.endpoint.invite(script.now, outgoing);
        let mut invites = 0;
        let mut said = script.hear();
        while let Some(invite) = said.iter().find(|m| brief(m) == "INVITE").cloned() {
            invites += 1;
            let min_se = if longer { 1_000 * invites } else { 90 };
            said = script.say(&response(&invite, 422, &format!("Min-SE: {min_se}\r\n")));
        }
        assert_eq!(invites, if longer { 4 } else { 1 });
        assert_eq!(script.told(), ["Failed 422", "Terminated"]);
    }
}

/// The peer's response to a request of ours.
fn response(request: &Message, status: u16, more: &str) -> String {
    let line = |name: &str| format!("{name}: {}\r\n", request.header(name).unwrap());
    let to = request.header("To").unwrap();
    let tag = if to.contains(";tag=") { "" } else { ";tag=t1" };
    format!(
        "SIP/2.0 {status} X\r\n{}{}To: {to}{tag}\r\n{}{}Contact: <sip:bob@127.0.0.2:5060>\r\n{more}Content-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        line("Call-ID"),
        line("CSeq"),
    )
}

/// We call a hand-written peer, whose 200 says `more`.
fn calling(interval: SessionInterval, more: &str) -> Script {
    let mut script = Script::of(endpoint(A, 10));
    let outgoing = Outgoing {
        interval,
        ..Net::new(10).outgoing()
    };
    script.endpoint.invite(script.now, outgoing);
    let invite = script.hear().remove(0);
    let body = "v=0\r\n";
    let answer = response(&invite, 200, more).replace(
        "Content-Length: 0\r\n\r\n",
        &format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert_eq!(statuses(&script.say(&answer)), ["ACK"]);
    script
}

#[test]
fn a_peer_without_update_is_refreshed_by_the_same_offer_again() {
    // It knows neither timers nor UPDATE: the timer is ours alone (§7.2).
    let mut script = calling(wish(200, 90, Refreshes::Negotiated), "");
    let said = script.wait(Duration::from_millis(100_300));
    let [invite] = said.as_slice() else {
        panic!("{:?}", statuses(&said))
    };
    assert_eq!(
        (brief(invite).as_str(), invite.body()),
        ("INVITE", &*sdp("offer")),
        "o= and all as before"
    );
    assert_eq!(invite.header("Session-Expires"), Some("200;refresher=uac"));
    assert_eq!(statuses(&script.say(&response(invite, 200, ""))), ["ACK"]);
    assert_eq!(script.told(), ["Answered"], "nobody waits for its answer");
    // From the 200 on, half the interval again.
    assert_eq!(statuses(&script.wait(Duration::from_secs(98))), Vec::<String>::new());
    let said = script.wait(Duration::from_millis(2_100));
    assert_eq!(statuses(&said), ["INVITE"]);
    assert_eq!(statuses(&script.say(&response(&said[0], 481, ""))), ["ACK", "BYE"]);
    assert_eq!(script.told(), ["Answered", "Bye"]);
}

#[test]
fn an_update_that_is_refused_is_followed_by_a_re_invite_then_by_the_end() {
    let mut script = calling(wish(200, 90, Refreshes::We), "Allow: INVITE, ACK, BYE, UPDATE\r\n");
    let said = script.wait(Duration::from_millis(100_300));
    assert_eq!(statuses(&said), ["UPDATE"]);
    let said = script.say(&response(&said[0], 501, ""));
    assert_eq!(statuses(&said), ["INVITE"]);
    let mut refused = statuses(&script.say(&response(&said[0], 500, "")));
    // Tried twice more, 10 s apart, then let go before the 200 s are over.
    for _ in 0..2 {
        let said = script.wait(Duration::from_millis(10_300));
        refused.extend(statuses(&said));
        refused.extend(statuses(&script.say(&response(&said[0], 500, ""))));
    }
    assert_eq!(refused, ["ACK", "INVITE", "ACK", "INVITE", "ACK"]);
    let said = script.wait(Duration::from_secs(48));
    assert_eq!(brief(&said[0]), "BYE");
    assert_eq!(script.told(), ["Answered", "Bye"]);
}

#[test]
fn a_422_to_a_refresh_makes_it_longer_and_the_session_goes_on() {
    let mut script = calling(wish(200, 90, Refreshes::We), "Allow: INVITE, UPDATE\r\n");
    let update = script.wait(Duration::from_millis(100_300)).remove(0);
    let said = script.say(&response(&update, 422, "Min-SE: 1000\r\n"));
    assert_eq!(statuses(&said), ["UPDATE"]);
    assert_eq!(said[0].header("Session-Expires"), Some("1000;refresher=uac"));
    assert_eq!(said[0].header("Min-SE"), Some("1000"));
    script.say(&response(
        &said[0],
        200,
        "Session-Expires: 1000;refresher=uac\r\nRequire: timer\r\n",
    ));
    assert_eq!(statuses(&script.wait(Duration::from_secs(499))), Vec::<String>::new());
    assert_eq!(statuses(&script.wait(Duration::from_millis(1_300))), ["UPDATE"]);
}

/// A hand-written peer calls; its INVITE says `more`.
fn called(interval: SessionInterval, more: &str) -> (Script, SessionId, Message) {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, more));
    let id = script.session();
    script.endpoint.want_interval(id, interval).unwrap();
    script.endpoint.answer(script.now, id, Some(sdp("answer"))).unwrap();
    let answer = script.hear().remove(0);
    script.say(&request("ACK", 1, "k1", Some(&to_tag(&answer)), ""));
    (script, id, answer)
}

#[test]
fn the_answer_follows_table_2_and_never_lengthens() {
    let asks = "Session-Expires: 1000";
    let ours = wish(600, 90, Refreshes::We);
    for (more, wanted, said, requires) in [
        // No timer for who knows none and whose proxies ask for none.
        (String::new(), ours, None, false),
        // A proxy asks, the phone knows nothing of it: the refreshes are ours.
        (format!("{asks}\r\n"), ours, Some("600;refresher=uas"), false),
        (
            format!("{asks}\r\nSupported: timer\r\n"),
            NONE,
            Some("1000;refresher=uac"),
            true,
        ),
        (
            format!("{asks}\r\nSupported: timer\r\n"),
            ours,
            Some("600;refresher=uas"),
            true,
        ),
        (
            "x: 1000;refresher=uac\r\nk: timer\r\n".to_owned(),
            ours,
            Some("600;refresher=uac"),
            true,
        ),
        (
            format!("{asks};refresher=uas\r\nRequire: timer\r\n"),
            NONE,
            Some("1000;refresher=uas"),
            true,
        ),
        // Not below the caller's least, not above what it asks for.
        (
            format!("{asks}\r\nMin-SE: 800\r\nSupported: timer\r\n"),
            ours,
            Some("800;refresher=uas"),
            true,
        ),
        (
            "Session-Expires: 300\r\nSupported: timer\r\n".to_owned(),
            ours,
            Some("300;refresher=uas"),
            true,
        ),
        // Too short for anybody, from who cannot be told so.
        ("Session-Expires: 5\r\n".to_owned(), ours, None, false),
        (
            "Session-Expires: soon\r\nSupported: timer\r\n".to_owned(),
            NONE,
            None,
            false,
        ),
    ] {
        let (_, _, answer) = called(wanted, &more);
        assert_eq!(answer.header("Session-Expires"), said, "{more}");
        assert_eq!(answer.has_token("Require", "timer"), requires, "{more}");
    }
}

#[test]
fn a_peers_refresh_keeps_the_session_and_one_too_short_gets_422() {
    let (mut script, _, answer) = called(NONE, "Session-Expires: 300;refresher=uac\r\nSupported: timer\r\n");
    let tag = to_tag(&answer);
    for round in 0..4 {
        assert_eq!(statuses(&script.wait(Duration::from_secs(200))), Vec::<String>::new());
        let more = "Session-Expires: 300;refresher=uac\r\nSupported: timer\r\n";
        let said = script.say(&request("UPDATE", 2 + round, &format!("u{round}"), Some(&tag), more));
        assert_eq!(statuses(&said), ["200 UPDATE"]);
        assert_eq!(said[0].header("Session-Expires"), Some("300;refresher=uac"));
    }
    let more = "Session-Expires: 60;refresher=uac\r\nSupported: timer\r\n";
    let said = script.say(&request("UPDATE", 9, "u9", Some(&tag), more));
    assert_eq!(statuses(&said), ["422 UPDATE"]);
    assert_eq!(said[0].header("Min-SE"), Some("90"));
    // A refusal refreshes nothing.
    let said = script.wait(Duration::from_secs(269));
    assert_eq!(brief(&said[0]), "BYE");
    assert_eq!(script.told(), ["Incoming", "Acked", "Bye"]);
}

#[test]
fn a_refresh_without_interval_ends_the_timer_where_we_want_none() {
    let (mut script, _, answer) = called(NONE, "Session-Expires: 300;refresher=uac\r\nSupported: timer\r\n");
    let said = script.say(&request("UPDATE", 2, "u1", Some(&to_tag(&answer)), ""));
    assert_eq!(said[0].header("Session-Expires"), None);
    assert_eq!(statuses(&script.wait(Duration::from_secs(4_000))), Vec::<String>::new());
    assert_eq!(script.endpoint.session_count(), 1);
}

#[test]
fn an_interval_that_would_have_us_talk_without_end_is_ninety_seconds() {
    let mut script = calling(NONE, "Session-Expires: 1;refresher=uac\r\nAllow: UPDATE\r\n");
    assert_eq!(statuses(&script.wait(Duration::from_secs(44))), Vec::<String>::new());
    assert_eq!(statuses(&script.wait(Duration::from_millis(1_300))), ["UPDATE"]);
}

#[test]
fn both_refresh_through_loss_and_no_session_is_lost() {
    for seed in 0..20 {
        let mut net = Net::rough(seed, 20, 10, 300);
        let outgoing = Outgoing {
            interval: wish(180, 90, if seed % 2 == 0 { Refreshes::We } else { Refreshes::Peer }),
            ..net.outgoing()
        };
        let a = net.endpoints[A].invite(net.now, outgoing);
        net.run_ms(20_000);
        let b = net.events[B].iter().find_map(|event| match event {
            segue_sip::Event::Incoming { session, .. } => Some(*session),
            _ => None,
        });
        net.answer(b.unwrap(), Some(sdp("answer")));
        net.run(Duration::from_secs(1_000));
        assert_eq!(
            (net.count(A, "Bye"), net.count(B, "Bye")),
            (0, 0),
            "seed {seed}: {:?}",
            net.told(A)
        );
        let refreshes = [A, B].map(|agent| net.sent_by(agent, "UPDATE"));
        assert_eq!(refreshes[A] > 0, seed % 2 == 0, "seed {seed}");
        assert_eq!(refreshes[B] > 0, seed % 2 == 1, "seed {seed}");
        net.endpoints[A].bye(net.now, a, None).unwrap();
        net.assert_nothing_left();
    }
}
