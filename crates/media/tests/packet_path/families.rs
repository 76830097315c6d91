use std::time::Duration;

use segue_media::Command;
use segue_sdp::{Direction, Family};

use crate::peer::*;

/// Each end has ports of its own family; what is played and relayed crosses between them, RTCP too.
#[test]
fn a_caller_of_ipv6_and_a_callee_of_ipv4_hear_each_other() {
    joined(Family::V6, Family::V4);
}

#[test]
fn a_caller_of_ipv4_and_a_callee_of_ipv6_hear_each_other() {
    joined(Family::V4, Family::V6);
}

fn joined(of_a: Family, of_b: Family) {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (mut a, mut b) = (Phone::of(&house, A, of_a), Phone::of(&house, B, of_b));
    a.configure(&house, Direction::SendRecv);
    b.configure(&house, Direction::SendRecv);
    house.say(play(true));
    assert_eq!(
        Family::of(a.audio.receive().from.ip()),
        of_a,
        "the clip comes from the address that A was told"
    );
    house.say(Command::Bridge { leg: B });
    for _ in 0..5 {
        a.audio.send(0, &[0xa0; 160]);
        b.audio.send(0, &[0xb0; 160]);
        std::thread::sleep(Duration::from_millis(20));
    }
    a.audio.receive_until(&[0xb0]);
    let heard = b.audio.receive_until(&[0xa0]);
    assert_eq!(Family::of(heard.last().unwrap().from.ip()), of_b);
}
