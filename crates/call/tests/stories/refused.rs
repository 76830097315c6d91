//! Calls that we refuse: with which code, and what the record says.

use segue_call::{LegAction, RefuseInfo, StoreReply};
use segue_records::{CallResult, PhaseName};

use crate::stage::{A, Setup, sdp};

fn refused(setup: Setup) -> (RefuseInfo, CallResult, String) {
    let mut s = setup.call();
    let record = s.finish();
    let Some(LegAction::Refuse(info)) = s.a().actions().into_iter().next() else {
        panic!("not refused")
    };
    assert_eq!(record.cause, Some(info.status));
    assert_eq!(record.phase_reached, PhaseName::LookingUp);
    assert_eq!(record.legs[0].status, Some(info.status));
    assert!(s.b().got().is_empty());
    (info, record.result, record.why)
}

#[test]
fn an_unknown_callee() {
    let (info, result, why) = refused(Setup {
        lookup: StoreReply::NotFound,
        ..Setup::default()
    });
    assert_eq!((info.status, result), (404, CallResult::Rejected));
    assert!(why.contains("sip:bob@segue.example is no subscriber"), "{why}");
    assert_eq!(
        refused(Setup {
            to: "sip:segue.example",
            ..Setup::default()
        })
        .0
        .status,
        404
    );
    let (info, ..) = refused(Setup {
        lookup: StoreReply::NotFound,
        offer: None,
        ..Setup::default()
    });
    assert_eq!(info.status, 404, "whatever it offers");
}

#[test]
fn a_subscriber_with_as_many_calls_as_it_may() {
    let (info, result, why) = refused(Setup {
        lookup: StoreReply::TooManyCalls { calls_max: 7 },
        ..Setup::default()
    });
    assert_eq!((info.status, result), (403, CallResult::Rejected));
    assert!(info.warning.unwrap().contains("Too many calls"));
    assert!(why.contains("7 calls"), "{why}");
}

#[test]
fn a_store_that_cannot_answer() {
    let lookup = StoreReply::LookupFailed {
        why: "database is locked".into(),
    };
    let (info, result, why) = refused(Setup {
        lookup,
        ..Setup::default()
    });
    assert_eq!((info.status, result), (500, CallResult::Failed));
    assert!(why.contains("database is locked"), "{why}");
    assert!(
        !info.reason.unwrap().contains("database"),
        "the inside is not told outside"
    );
}

#[test]
fn a_node_without_ports_is_overloaded() {
    let (info, result, _) = refused(Setup {
        no_ports: vec![A],
        ..Setup::default()
    });
    assert_eq!((info.status, result), (503, CallResult::Failed));
    assert_eq!(info.reason.unwrap(), "Q.850;cause=34;text=\"No media ports available\"");
}

#[test]
fn nothing_in_common() {
    let offer = Some(sdp("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n"));
    let (info, result, why) = refused(Setup {
        offer,
        ..Setup::default()
    });
    assert_eq!((info.status, result), (488, CallResult::Rejected));
    assert_eq!(
        why,
        "Nothing offered can be relayed: Incompatible media format: PCMU, PCMA, G722, opus, AMR, AMR-WB, H264 or VP8 is needed."
    );
    assert_eq!(
        info.warning.unwrap(),
        "305 segue \"Incompatible media format: PCMU, PCMA, G722, opus, AMR, AMR-WB, H264 or VP8 is needed\""
    );
    let offer = Some(sdp("m=audio 4000 RTP/SAVP 0\r\n"));
    let (info, ..) = refused(Setup {
        offer,
        ..Setup::default()
    });
    assert!(info.warning.unwrap().starts_with("302 segue "));
}

#[test]
fn an_offer_that_is_none() {
    let (info, ..) = refused(Setup {
        offer: Some((*b"hello").into()),
        ..Setup::default()
    });
    assert_eq!(info.status, 400);
    assert!(info.warning.is_some());
}
