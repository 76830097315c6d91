use std::{net::UdpSocket, time::Duration};

use segue_sdp::Direction;

use crate::peer::*;

#[test]
fn packets_go_to_where_the_first_one_came_from() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let mut a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(play(true));
    a.audio.receive();
    // The same host, another port than it signalled.
    let _signalled = std::mem::replace(&mut a.audio.rtp, UdpSocket::bind("127.0.0.1:0").unwrap());
    a.audio.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
    a.audio.send(0, &[1; 160]);
    assert_seamless(&[a.audio.receive(), a.audio.receive()]);
}

#[test]
fn another_host_is_not_heard_and_counted() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let mut a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(play(true));
    a.audio.receive();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = a.audio.receive().from;
    let packet = a.audio.packet(0, 1, &[1; 160]);
    stranger.send_to(&packet, port).unwrap();
    assert!(stranger.recv(&mut [0; 200]).is_err(), "it got the caller's audio");
    assert_eq!(house.media.stats().bad, 1);
}
