//! A callee with several targets: each leg ends as a single one does, one is bridged, and turns are kept.

use segue_call::{MediaAction, MediaEvent};
use segue_policy::Ring;
use segue_records::CallRecord;

use super::{Marks, View, each_request_got_its_answer, each_request_is_one};
use crate::{
    dice::{MS, Time},
    phone::TRIED,
};

pub(super) fn targets(first: &View, record: &CallRecord, marks: &mut Marks) -> Result<(), String> {
    let world = first.world;
    let mine = (0..world.callees.len()).filter(|n| world.called_by[*n] == first.call);
    let views: Vec<View> = mine.map(|callee| View::of(world, first.call, callee)).collect();
    for (n, view) in views.iter().enumerate() {
        let who = format!("target {n}");
        let of = |why| format!("{who}: {why}");
        each_request_got_its_answer(&who, &view.b)?;
        each_request_is_one(&who, &view.b)?;
        view.callee_leg(marks).map_err(of)?;
        view.phones_agree().map_err(of)?;
    }
    let mut bridged = Vec::new();
    for (_, action) in first.actions() {
        if let MediaAction::Bridge { leg } = action
            && !bridged.contains(leg)
        {
            bridged.push(*leg);
        }
    }
    hold!(bridged.len() <= 1, "bridged with {bridged:?}");
    let begun: Vec<Option<Time>> = views
        .iter()
        .map(|v| {
            let sent = v.b.iter().find(|s| s.is(true, "INVITE")).map(|s| s.at);
            sent.into_iter().chain(v.unsent_to_b()).min()
        })
        .collect();
    let tried = begun.iter().flatten().count();
    hold!(
        record.legs.len() > tried,
        "{} legs, {tried} targets were tried",
        record.legs.len()
    );
    let answered = views.iter().filter(|v| {
        let yes = |c: u16| (200..300).contains(&c);
        v.b.iter().any(|s| s.responds(false, "INVITE").is_some_and(yes))
    });
    if answered.count() > 1 {
        marks.insert("two targets answered".into());
    }
    let in_order = first.plan().is_some_and(|p| p.ring == Ring::InOrder);
    if tried > 1 {
        marks.insert(
            if in_order {
                "targets took turns"
            } else {
                "targets rang together"
            }
            .into(),
        );
    }
    for (n, pair) in views.windows(2).enumerate().filter(|_| in_order) {
        let [Some(before), Some(after)] = begun[n..n + 2] else {
            // One without ports is passed over.
            let portless = first
                .events()
                .any(|(_, e)| matches!(e, MediaEvent::OpenFailed { leg, .. } if leg.0 as usize == n + 1));
            hold!(
                begun[n + 1].is_none() || portless,
                "target {} was tried before target {n}",
                n + 1
            );
            continue;
        };
        // Its turn is over by its last word, its CANCEL, our BYE to an answer that is none, its time, or nobody there.
        let over = pair[0].b.iter().any(|s| {
            s.at <= after
                && (s.is(true, "CANCEL") || s.is(true, "BYE") || s.responds(false, "INVITE").is_some_and(|c| c >= 300))
        });
        let turn = first.plan().map_or(0, |p| p.ring_ms) * MS;
        let late = after >= before + turn.min(TRIED);
        hold!(
            over || late || pair[0].unsent_to_b().is_some(),
            "target {} was tried while target {n} had its turn",
            n + 1
        );
    }
    Ok(())
}
