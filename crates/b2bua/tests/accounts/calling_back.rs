//! `5` in the mailbox by phone: the sender is called by the same admission as any call of the account, and in the caller's one dialog.

use segue_policy::Profile;
use segue_sip_wire::{Message, Method};

use crate::{
    credentials::listed,
    office::{CALLEE, OFFER, Office},
};

const MAILBOX: &str = "sip:*97@10.0.0.254";
const NONE: &str = "Content-Length: 0\r\n\r\n";
const BOBS: &str = "10.7.0.1:5060";

fn office(set: fn(&mut Profile)) -> Office {
    let all = ["bob", "carol", "eve"].map(|user| listed(user, "sesame"));
    let profile = |profile: &mut Profile| {
        profile.registrar = true;
        profile.service_codes = vec!["*97 -> mailbox".to_owned().try_into().unwrap()];
        set(profile);
    };
    let mut office = Office::of(profile, all.to_vec());
    office.message_from = CALLEE.to_owned();
    office
}

/// Bob is at carol's message; his 200.
fn at_message(office: &mut Office) -> Message {
    let sent = office.asks("INVITE", "bob", MAILBOX, OFFER);
    let answered = sent.into_iter().find(|sent| sent.status() == Some(200)).unwrap();
    in_dialog(office, &answered, "ACK", 2);
    office.wait(3);
    answered
}

/// A request of bob's within his call.
fn in_dialog(office: &mut Office, answered: &Message, method: &str, cseq: u32) -> Vec<Message> {
    let to = answered.header("To").unwrap().to_owned();
    let text = office.text(method, "bob", MAILBOX, cseq, NONE);
    let text = text.replace(&format!("To: <{MAILBOX}>"), &format!("To: {to}"));
    office.hears(BOBS, &text)
}

/// INVITEs to carol's phone so far.
fn invites(office: &Office) -> Vec<&Message> {
    let invites = office.sent.iter().filter(|sent| sent.method() == Some(&Method::Invite));
    invites.collect()
}

/// Carol, who has answered, hangs up.
fn carol_hangs_up(office: &mut Office) {
    let invite = (*invites(office).last().unwrap()).clone();
    let header = |name: &str| invite.header(name).unwrap().to_owned();
    let bye = format!(
        "BYE sip:x@10.0.0.254 SIP/2.0\r\nVia: SIP/2.0/UDP 10.8.0.1:5060;branch=z9hG4bKbye{}\r\nMax-Forwards: 70\r\nFrom: {};tag=c\r\n\
         To: {}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\n{NONE}",
        office.sent.len(),
        header("To"),
        header("From"),
        header("Call-ID"),
    );
    let said = office.hears("10.8.0.1:5060", &bye);
    assert_eq!(said[0].status(), Some(200), "{said:?}");
}

#[test]
fn the_sender_rings_talks_and_goes_and_the_caller_stays_in_its_one_dialog() {
    let mut office = office(|_| ());
    let answered = at_message(&mut office);
    office.press('5');
    {
        let all = invites(&office);
        let [invite] = &all[..] else { panic!("{all:?}") };
        assert_eq!(invite.to().unwrap().uri.user().as_deref(), Some("carol"));
        assert_eq!(invite.from().unwrap().uri.user().as_deref(), Some("bob"));
        assert_ne!(invite.header("Call-ID"), answered.header("Call-ID"));
        // The same caller all along (RFC 7989 §5).
        let uuid = |message: &Message| message.header("Session-ID").unwrap().to_owned();
        let (ours, bobs) = (uuid(invite), uuid(&answered));
        let mine = ours.split(';').next().unwrap();
        assert!(bobs.contains(&format!("remote={mine}")), "{ours} and {bobs}");
    }
    office.answers();
    office.wait(20);
    let before = office.sent.len();
    carol_hangs_up(&mut office);
    let bye = |sent: &Message| sent.method() == Some(&Method::Bye);
    assert!(!office.sent[before..].iter().any(bye), "bob is in his mailbox");
    assert_eq!(office.shard.call_count(), 1);
    let [facts] = &office.called_back[..] else {
        panic!("{:?}", office.called_back)
    };
    assert_eq!(
        (facts.message_id.as_str(), facts.leg, facts.answered),
        ("one", Some(1), true)
    );
    assert_eq!(
        (facts.to.as_str(), facts.why.as_str()),
        (CALLEE, "The callee answered and hung up")
    );
    // Once more, and this time bob hangs up.
    office.press('5');
    office.answers();
    office.wait(1);
    let said = in_dialog(&mut office, &answered, "BYE", 3);
    assert_eq!(said.iter().filter(|sent| bye(sent)).count(), 1, "carol's");
    assert!(said.iter().any(|sent| sent.status() == Some(200)));
    assert_eq!(office.called_back.len(), 2);
    office.end_all();
}

#[test]
fn what_the_account_has_used_up_and_a_server_that_stops_call_nobody_back() {
    let once_a_minute = |profile: &mut Profile| profile.account_calls_per_minute = 1;
    let one_minute = |profile: &mut Profile| {
        profile.account_minutes_per_day = 1;
        profile.rtp_gone_ms = 0;
    };
    let cases = [
        (
            once_a_minute as fn(&mut Profile),
            0_u64,
            "calls more often than 1 times a minute",
        ),
        (one_minute, 61, "has called for the 1 minutes"),
    ];
    for (set, seconds, why) in cases {
        let mut office = office(set);
        at_message(&mut office);
        // Who says nothing is let go.
        for _ in 0..seconds / 3 {
            office.wait(3);
            office.press('1');
        }
        office.wait(3);
        office.press('5');
        assert!(invites(&office).is_empty(), "{why}");
        let facts = office.called_back.last().unwrap();
        assert!(facts.why.contains(why) && facts.leg.is_none(), "{facts:?}");
        assert_eq!(office.shard.call_count(), 1, "bob stays");
        assert_eq!(office.shard.stats().turned_away.account, 1);
        office.end_all();
    }
    let mut office = office(|_| ());
    at_message(&mut office);
    office.shard.close();
    office.press('5');
    assert!(invites(&office).is_empty());
    assert!(office.called_back[0].why.contains("is stopping"));
}

#[test]
fn the_call_that_it_is_counts_but_once() {
    let mut office = office(|profile| {
        profile.account_calls_max = 1;
        profile.account_calls_per_minute = 2;
    });
    at_message(&mut office);
    office.press('5');
    assert_eq!(invites(&office).len(), 1, "one at once, and this is that");
    office.replies("486 Busy Here", NONE);
    office.wait(1);
    office.press('5');
    assert_eq!(invites(&office).len(), 1, "the third of a minute");
    office.end_all();
}

#[test]
fn who_is_called_back_is_busy_as_long_as_that_lasts() {
    let mut office = office(|profile| profile.busy_at = 1);
    let rings = |office: &mut Office| {
        let sent = office.asks("INVITE", "eve", CALLEE, OFFER);
        sent.iter().any(|sent| sent.method() == Some(&Method::Invite))
    };
    let eve_gives_up = |office: &mut Office| {
        office.cancels("eve", CALLEE);
        let busy = "487 Request Terminated";
        office.replies(busy, NONE);
        office.wait(1);
    };
    at_message(&mut office);
    assert!(rings(&mut office), "a message of hers keeps nobody busy");
    eve_gives_up(&mut office);
    office.press('5');
    assert!(!rings(&mut office), "her phone rings");
    office.replies("486 Busy Here", NONE);
    office.wait(1);
    assert!(rings(&mut office), "it does no more");
    office.end_all();
}
