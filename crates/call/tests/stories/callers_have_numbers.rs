//! A caller's number stands in E.164 in record and message, by the profile's numbering; what was said is kept beside it.

use segue_call::{Further, Shown};
use segue_policy::Profile;

use crate::stage::Setup;

fn setup(shown: &str) -> Setup {
    let shown = Shown {
        uri: shown.parse().unwrap(),
        name: None,
    };
    Setup {
        profile: Profile {
            name: "berlin".into(),
            country_code: "49".into(),
            area_code: "30".into(),
            ..Profile::default()
        },
        further: Further {
            shown: Some(shown),
            ..Further::default()
        },
        ..Setup::default()
    }
}

#[test]
fn in_the_record_with_what_was_said() {
    for (shown, from, said) in [
        (
            "sip:030-123.456@pbx.example:5080",
            "sip:+4930123456@pbx.example:5080",
            true,
        ),
        ("sips:0044207@pbx.example;user=phone", "sips:+44207@pbx.example", true),
        ("sip:%2B4930123@[2001:db8::1]", "sip:+4930123@[2001:db8::1]", true),
        ("tel:+49-30-123", "tel:+4930123", true),
        ("sip:+4930123@pbx.example", "sip:+4930123@pbx.example", false),
        ("sip:alice@pbx.example", "sip:alice@pbx.example", false),
        // Who wants to be nobody stays nobody.
        (
            "sip:anonymous@anonymous.invalid",
            "sip:anonymous@anonymous.invalid",
            false,
        ),
    ] {
        let mut s = setup(shown).call();
        s.a().cancels();
        let record = s.finish();
        let without_params = shown.split(';').next().unwrap();
        let said = said.then(|| without_params.to_owned());
        assert_eq!((record.from.as_str(), record.from_said), (from, said), "{shown}");
    }
}

#[test]
fn in_the_message_by_which_retention_knows_the_caller() {
    let mut s = setup("sip:030123456@pbx.example").call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(6_000);
    assert_eq!(s.manifest.clone().unwrap().from, "sip:+4930123456@pbx.example");
    s.a().hangs_up();
    s.finish();
}
