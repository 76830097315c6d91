//! A callee who is heard before it answers: the bridge with streams that go one way.

use super::*;

fn one_way(kind: Kind) -> Stream {
    Stream {
        direction: Direction::RecvOnly,
        ..stream(kind)
    }
}

#[test]
fn a_hears_it_and_it_hears_nothing_until_both_ways_are_open() {
    let mut scene = Scene::new();
    scene.say(Command::Configure {
        leg: B,
        audio: Some(one_way(Kind::Audio)),
        video: None,
    });
    scene.say(Command::Bridge { leg: B });
    scene.rtp(B, Kind::Audio, &[1; 160]);
    scene.rtp(A, Kind::Audio, &[2; 160]);
    assert_eq!(
        (scene.payloads(A, Kind::Audio), scene.payloads(B, Kind::Audio)),
        (vec![1], vec![])
    );
    // Revoked: nothing of it passes.
    let inactive = Stream {
        direction: Direction::Inactive,
        ..stream(Kind::Audio)
    };
    scene.say(Command::Configure {
        leg: B,
        audio: Some(inactive),
        video: None,
    });
    scene.rtp(B, Kind::Audio, &[3; 160]);
    assert_eq!(scene.payloads(A, Kind::Audio), [1]);
    // It answers.
    scene.configure(B, stream(Kind::Video));
    scene.say(Command::Bridge { leg: B });
    scene.rtp(B, Kind::Audio, &[4; 160]);
    scene.rtp(A, Kind::Audio, &[5; 160]);
    assert_eq!(
        (scene.payloads(A, Kind::Audio), scene.payloads(B, Kind::Audio)),
        (vec![1, 4], vec![5])
    );
}
