//! What stands in the drawings.

use segue_records::{
    CallRecord, LadderStep, LegRecord, LossRecord, MediaKind, Sent, StreamRecord, SwitchRecord, UnixMs,
};

use super::*;

const START: i64 = 1_700_000_000_000;

fn at(ms: i64) -> UnixMs {
    UnixMs(START + ms)
}

fn leg(target: &str, ladder: &[(i64, Sent, &str)], media: Vec<StreamRecord>) -> LegRecord {
    let step = |(ms, sent, summary): &(i64, Sent, &str)| LadderStep {
        at: at(*ms),
        sent: *sent,
        summary: (*summary).to_owned(),
    };
    LegRecord {
        sip_call_id: "id".to_owned(),
        target: target.to_owned(),
        status: Some(200),
        reason: None,
        ladder: ladder.iter().map(step).collect(),
        media,
    }
}

fn switch(ms: i64, kind: MediaKind, to: &str, gap_ms: Option<u64>) -> SwitchRecord {
    SwitchRecord {
        to: to.to_owned(),
        kind,
        gap_ms,
        at: at(ms),
    }
}

/// Held on a clip for 6 s, rung for 3, bridged, ended after 20.
pub(super) fn call() -> CallRecord {
    let stream = StreamRecord {
        kind: MediaKind::Audio,
        received: 588,
        lost: 12,
        late: 3,
        jitter_ms: 4,
        sent: 1000,
        sent_late: 0,
        peer_lost: Some(1),
        peer_jitter_ms: Some(2),
        rtt_ms: None,
        losses: Vec::new(),
        peer_losses: Vec::new(),
    };
    CallRecord {
        from: "sip:ann@192.0.2.1".to_owned(),
        to: "sip:bob@192.0.2.2".to_owned(),
        first_media_at: Some(at(60)),
        invited_at: Some(at(6_060)),
        answered_at: Some(at(9_000)),
        ended_at: Some(at(20_000)),
        hold_asked_ms: Some(6_000),
        hold_ms: Some(6_000),
        legs: vec![
            leg(
                "sip:bob@192.0.2.2",
                &[
                    (0, Sent::In, "INVITE (SDP)"),
                    (1, Sent::Out, "100 Trying"),
                    (30, Sent::Out, "183 Session Progress (SDP)"),
                    (9_000, Sent::Out, "200 OK (SDP)"),
                    (9_020, Sent::In, "ACK"),
                    (19_900, Sent::In, "BYE"),
                    (19_901, Sent::Out, "200 OK for BYE"),
                ],
                vec![stream],
            ),
            leg(
                "sip:bob@192.0.2.3",
                &[
                    (6_060, Sent::Out, "INVITE (SDP)"),
                    (6_100, Sent::In, "180 Ringing"),
                    (8_990, Sent::In, "200 OK (SDP)"),
                    (8_991, Sent::Out, "ACK"),
                    (19_902, Sent::Out, "BYE"),
                    (19_930, Sent::In, "200 OK for BYE"),
                ],
                Vec::new(),
            ),
        ],
        switches: vec![
            switch(60, MediaKind::Audio, "clip", None),
            switch(70, MediaKind::Video, "clip", None),
            switch(9_010, MediaKind::Audio, "callee", Some(21)),
            switch(9_140, MediaKind::Video, "callee", Some(150)),
        ],
        ..CallRecord::begun("01HQVXSXTZ8M4W8F0RZ6Y3K5AB".to_owned(), "id".to_owned(), at(0))
    }
}

/// Where a text begins in the markup.
#[track_caller]
fn place(markup: &str, text: &str) -> usize {
    markup.find(text).unwrap_or_else(|| panic!("no {text} in {markup}"))
}

#[test]
fn the_legs_of_a_call_are_one_ladder_in_the_order_of_time() {
    let drawn = ladder(&call()).into_string();
    let order = [
        "0.000 s caller: INVITE (SDP)",
        "0.030 s caller: 183 Session Progress (SDP)",
        "6.060 s callee 1: INVITE (SDP)",
        "8.990 s callee 1: 200 OK (SDP)",
        "9.000 s caller: 200 OK (SDP)",
        "19.930 s callee 1: 200 OK for BYE",
    ];
    let places: Vec<usize> = order.iter().map(|text| place(&drawn, text)).collect();
    assert!(places.is_sorted(), "{places:?}");
    // In the drawing and in the table beside it.
    assert_eq!(drawn.matches("183 Session Progress (SDP)").count(), 3);
    assert_eq!(drawn.matches("<polygon").count(), 13);
    assert!(drawn.contains(">callee 1<"), "{drawn}");
    assert!(!drawn.contains("style="), "the policy of the pages takes none");
}

#[test]
fn an_arrow_points_to_who_gets_the_message() {
    let mut call = call();
    call.legs.truncate(1);
    call.legs[0].ladder.truncate(2);
    let drawn = ladder(&call).into_string();
    // A at 110, Segue at 300: the INVITE's head is at Segue, the 100's at A.
    assert!(drawn.contains("points=\"300,74 293,70 293,78\""), "{drawn}");
    assert!(drawn.contains("points=\"110,104 117,100 117,108\""), "{drawn}");
}

#[test]
fn what_came_over_sip_stays_text() {
    let mut call = call();
    let evil = "<script>alert(1)</script>\"onload=x";
    call.legs[0].ladder[0].summary = evil.to_owned();
    call.switches[0].to = evil.to_owned();
    let drawn = ladder(&call).into_string() + &timeline(&call, at(0)).into_string();
    assert!(!drawn.contains("<script"), "{drawn}");
    assert!(drawn.contains("&lt;script&gt;"), "{drawn}");
    assert!(drawn.contains("class=\"source other\""), "{drawn}");
}

#[test]
fn many_callees_do_not_make_an_endless_drawing_but_all_are_in_the_table() {
    let mut call = call();
    let more = call.legs[1].clone();
    call.legs.extend(std::iter::repeat_n(more, 40));
    let drawn = ladder(&call).into_string();
    assert!(!drawn.contains(">callee 9<text"), "{drawn}");
    assert!(drawn.contains("<td>callee 41</td>"));
    assert!(drawn.contains("width=\"1860\""), "nine columns");
}

#[test]
fn each_source_lasts_until_the_next_of_its_stream() {
    let drawn = timeline(&call(), at(0)).into_string();
    for told in [
        "clip from 0.060 s for 8.9 s, gap first",
        "callee from 9.010 s for 10 s, gap 21 ms",
        "callee from 9.140 s for 10 s, gap 150 ms",
        "INVITE to the callee, 6.060 s",
    ] {
        place(&drawn, told);
    }
    // 20 s on 720 px: sound of the callee from 9.01 s on.
    assert!(drawn.contains("<rect x=\"408.4\""), "{drawn}");
}

#[test]
fn what_was_lost_stands_on_the_lane_where_it_was_and_in_words() {
    let loss = |from: i64, until: i64, packets| LossRecord {
        from: at(from),
        until: at(until),
        packets,
    };
    let mut call = call();
    let whole = timeline(&call, at(0)).into_string();
    place(&whole, "Packets were lost; when is not known.");
    assert!(
        !whole.contains("class=\"loss\"") && !whole.contains("sound sent"),
        "{whole}"
    );

    let stream = call.legs[0].media[0].clone();
    (call.legs[0].media[0].lost, call.legs[0].media[0].peer_lost) = (0, None);
    place(
        &timeline(&call, at(0)).into_string(),
        "No packets are known to be lost.",
    );
    call.legs[0].media[0].losses = vec![loss(15_000, 15_500, 12)];
    call.legs[0].media[0].peer_losses = vec![loss(5_000, 10_000, 4)];
    call.legs[1].media = vec![StreamRecord {
        kind: MediaKind::Video,
        losses: vec![loss(10_000, 12_000, 1)],
        ..stream
    }];
    let drawn = timeline(&call, at(0)).into_string();
    for told in [
        "<title>4 packets lost as the caller reports, 5.000 s to 10.000 s</title><rect x=\"264\" y=\"67\" width=\"180\"",
        "<title>1 packet lost from callee 1 to Segue, 10.000 s to 12.000 s</title><rect x=\"444\" y=\"41\" width=\"72\"",
        // What came from the caller has a lane of its own.
        ">sound sent<",
        "<title>12 packets lost from the caller to Segue, 15.000 s to 15.500 s</title><rect x=\"624\" y=\"93\" width=\"18\"",
        "Lost, in red where it was: 1 packet from callee 1 to Segue; 4 packets as the caller reports; 12 packets from the caller to Segue.",
        "<td>from the caller to Segue</td><td class=\"number bad\">12 packets</td>",
    ] {
        place(&drawn, told);
    }
    assert!(!drawn.contains("picture sent") && !drawn.contains("style="), "{drawn}");
}

#[test]
fn where_nothing_was_sent_nothing_is_drawn() {
    let mut call = call();
    let callee = call
        .switches
        .iter_mut()
        .find(|switch| switch.gap_ms == Some(150))
        .unwrap();
    callee.gap_ms = Some(4_000);
    let drawn = timeline(&call, at(0)).into_string();
    // It came at 9.140 s; the last packet of the clip left 4 s before.
    place(&drawn, "clip from 0.070 s for 5.0 s, gap first");
    place(&drawn, "callee from 9.140 s for 10 s, gap 4000 ms");
}

#[test]
fn of_a_call_that_is_up_the_last_source_lasts_until_now() {
    let mut call = call();
    (call.ended_at, call.answered_at) = (None, None);
    call.switches.truncate(2);
    let drawn = timeline(&call, at(4_060)).into_string();
    place(&drawn, "clip from 0.060 s for 4.0 s, gap first");
    assert!(!drawn.contains(">end,"), "{drawn}");
}

#[test]
fn a_hold_goes_on_until_the_callee_is_called() {
    let mut call = call();
    let stands = hold(&call, at(30_000)).into_string();
    assert!(
        stands.contains("value=\"6000\"") && !stands.contains("data-from"),
        "{stands}"
    );
    (call.invited_at, call.ended_at) = (None, None);
    let goes = hold(&call, at(2_060)).into_string();
    assert!(goes.contains("max=\"6000\" value=\"2000\""), "{goes}");
    assert!(goes.contains(&format!("data-from=\"{}\"", START + 60)), "{goes}");
    assert!(goes.contains("2.0 s of 6.0 s"), "{goes}");
    call.hold_asked_ms = Some(0);
    assert_eq!(hold(&call, at(0)).into_string(), "");
}

#[test]
fn losses_are_said_with_their_share() {
    let told = streams(&call()).into_string();
    assert!(told.contains("12 (2.0 %)"), "{told}");
    assert!(told.contains("number bad"), "{told}");
    let mut call = call();
    call.legs[0].media.clear();
    assert!(streams(&call).into_string().contains("Nothing has been counted"));
}

#[test]
fn columns_stand_on_each_other_and_are_told_in_a_table() {
    let part = |name, class, value| Part { name, class, value };
    let of = |label: &str, good, bad| Column {
        label: label.to_owned(),
        name: format!("{label}:00"),
        parts: vec![part("answered", "good", good), part("failed", "bad", bad)],
    };
    let drawn = columns("Calls", &[of("13", 6, 2), of("14", 0, 0)]).into_string();
    // The axis ends at 8: six of them are 105 px high, the two failed stand on top.
    assert!(drawn.contains("height=\"105\""), "{drawn}");
    assert!(drawn.contains("y=\"12\" width=\"288\" height=\"35\""), "{drawn}");
    assert!(drawn.contains("<title>13:00, answered 6, failed 2</title>"), "{drawn}");
    assert!(!drawn.contains("<td>14:00</td>"), "nothing happened then");
    assert_eq!(columns("None", &[]).into_string().matches("<rect").count(), 0);

    let shared = shares("Storage", &[part("heard", "heard", 1), part("free", "free", 3)], |n| {
        format!("{n} B")
    })
    .into_string();
    assert!(shared.contains("x=\"180\" y=\"0\" width=\"540\""), "{shared}");
    assert!(
        shared.contains("aria-label=\"Storage, heard 1 B, free 3 B\""),
        "{shared}"
    );
}

#[test]
fn moments_and_lengths_are_said_as_people_say_them() {
    assert_eq!(after(at(1_000), at(1_251)), "0.251 s");
    assert_eq!(after(at(1_000), at(62_007)), "61.007 s");
    assert_eq!(after(at(1_000), at(250)), "-0.750 s");
    assert_eq!(length(420), "0.4 s");
    assert_eq!(length(12_999), "12 s");
    assert_eq!(length(200_000), "3 min 20 s");
}

#[test]
fn an_axis_has_few_round_steps_whatever_its_end() {
    assert_eq!(step(7_000, 8), 1_000);
    assert_eq!(step(90_000, 8), 20_000);
    assert_eq!(step(0, 8), 1);
    for end in [1, 9, 55, 12_345, u64::MAX] {
        assert!(end / step(end, 8) <= 8, "{end}");
    }
    assert_eq!(along(3, 0, 100.0), 0.0);
    assert_eq!(along(9, 3, 100.0), 100.0);
}

#[test]
fn what_came_stands_before_what_was_sent_for_it_in_the_same_millisecond() {
    let caller = leg(
        "sip:bob@192.0.2.2",
        &[(0, Sent::In, "INVITE"), (9, Sent::Out, "200 for A")],
        Vec::new(),
    );
    let callee = leg(
        "sip:bob@192.0.2.3",
        &[
            (5, Sent::Out, "INVITE to B"),
            (9, Sent::In, "200 of B"),
            (9, Sent::Out, "ACK to B"),
        ],
        Vec::new(),
    );
    let drawn = ladder(&CallRecord {
        legs: vec![caller, callee],
        ..call()
    })
    .into_string();
    let places: Vec<_> = ["INVITE to B", "200 of B", "200 for A", "ACK to B"]
        .iter()
        .map(|said| drawn.find(said).unwrap())
        .collect();
    assert!(places.is_sorted(), "{places:?} {drawn}");
}
