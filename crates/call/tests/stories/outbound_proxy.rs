//! The profile's outbound proxy stands before the targets of subscribers, and nowhere else.

use segue_call::{LegAction, MediaAction, Towards, Way};

use crate::stage::{B, Setup};

const PROXY: &str = "sip:sbc.example.com;lr";

#[test]
fn calls_go_by_it_with_their_request_uri_unchanged() {
    let mut setup = Setup::default();
    setup.profile.outbound_proxy = Some(PROXY.parse().unwrap());
    let mut s = setup.call();
    s.run_ms(60_000);
    let invited = s.b().actions().into_iter().find_map(|action| match action {
        LegAction::Invite { target, way, .. } => Some((target, *way)),
        _ => None,
    });
    let (target, way) = invited.unwrap();
    assert_ne!(target.host(), PROXY.parse::<segue_sip_wire::Uri>().unwrap().host());
    let by_proxy = Way {
        route: vec![PROXY.parse().unwrap()],
        ..Way::default()
    };
    assert_eq!(way, by_proxy);
    // Its ports are of the family that the proxy has.
    let towards = s.media_actions().into_iter().find_map(|action| match action {
        MediaAction::Open { leg: B, towards } => Some(towards),
        _ => None,
    });
    assert_eq!(towards, Some(Towards::Target(PROXY.parse().unwrap())));
    s.a().cancels();
    s.finish();
}
