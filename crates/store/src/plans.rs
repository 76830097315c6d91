//! What pages and lists cost the store: the steps that SQLite takes for the statements that they really use, with a little in the store and with
//! ten times as much. A figure of time would say more about the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use rusqlite::{
    Connection, StatementStatus,
    trace::{TraceEvent, TraceEventCodes},
};
use segue_records::{CallRecord, UnixMs};

use crate::{Begun, CallsSought, DeliveryState, LOOKED_AT_MAX, MessageQuery, Role, Store, StoreError, WhichDeliveries};

/// A store with so many messages in bob's mailbox, as many in those of others, and as many calls, notices and deeds. A tenth of each is rare:
/// in the trash, unheard, from `Zoe`, dead.
fn filled(messages: u32) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let record = CallRecord::begun("01".to_owned(), "x".to_owned(), UnixMs(0));
    let record = serde_json::to_string(&record).unwrap();
    let fill = format!(
        "INSERT INTO blob (id, staged, stager, staged_at, bytes) VALUES (1, 0, 'server', 0, 1);
         INSERT INTO subscriber (user) VALUES ('bob'), ('eve');
         CREATE TEMP TABLE n (n INTEGER PRIMARY KEY);
         INSERT INTO n WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {messages} - 1) SELECT n FROM n;
         INSERT INTO message (id, mailbox, call_id, sip_call_id, caller, caller_name, received_at, heard_at, deleted_at, duration_ms, kind,
                              media_state, bytes, interrupted, media, media_type, urgent)
             SELECT printf('01%08d%s', n, box), box, n, n || box, 'sip:ann@example.org', iif(n % 10, 'Ann', 'Zoe'), n, iif(n % 5, n, NULL),
                    iif(n % 10, NULL, n), 1000, 'video', 'ready', 1, 0, 1, 'video/mp4', 0
             FROM n, (SELECT 'bob' AS box UNION ALL SELECT 'eve');
         INSERT INTO call (id, sip_call_id, started_at, record) SELECT printf('01%08d', n), n, n, '{record}' FROM n;
         INSERT INTO call_party (id, caller, callee) SELECT printf('01%08d', n), 'sip:ann@example.org', 'sip:bob@example.org' FROM n;
         INSERT INTO notice (id, mailbox, event, created_at) SELECT n + 1, 'bob', 'call.missed', n FROM n;
         INSERT INTO delivery (key, notice, recipient, channel, state, since, next_at)
             SELECT n, n + 1, iif(n % 10, 'bob', 'eve'), 'mail', iif(n >= 50, 'sent', 'dead'), n, n FROM n;
         INSERT INTO audit (at, name, by, source, what, object, owner, detail, own)
             SELECT n, iif(n % 10, 'root', 'bob'), 'session', '', 'x', 'x', iif(n % 7, NULL, 'bob'), '', iif(n % 10, 0, 1) FROM n;
         INSERT INTO retention_audit (at, mailbox, message, rule, allowed, found, received_at, bytes, duration_ms)
             SELECT n, 'bob', n, 'heard_max', 1, 1, n, 1, 1 FROM n;
         DROP TABLE n;"
    );
    store.write(move |tx| Ok(tx.execute_batch(&fill)?)).unwrap();
    (dir, store)
}

/// What was asked of SQLite.
#[derive(Default)]
struct Asked {
    steps: i64,
    sorts: i64,
    statements: BTreeSet<String>,
}

/// Runs what reads a store, and says what it asked.
fn asked<T>(store: &Store, read: impl Fn() -> Result<T, StoreError>) -> Asked {
    // What it needs is prepared and its connection open.
    read().unwrap();
    let mut connections = 0;
    // Of a statement SQLite counts all its runs together.
    let runs: Arc<Mutex<BTreeMap<String, [Vec<i64>; 2]>>> = Arc::default();
    store.inner.readers.each_idle(|db| {
        connections += 1;
        let runs = Arc::clone(&runs);
        let note = move |event: TraceEvent<'_>| {
            if let TraceEvent::Profile(statement, _) = event {
                let mut runs = runs.lock().unwrap();
                let [steps, sorts] = runs.entry(statement.sql().into_owned()).or_default();
                steps.push(statement.get_status(StatementStatus::VmStep).into());
                sorts.push(statement.get_status(StatementStatus::Sort).into());
            }
        };
        db.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note)).unwrap();
    });
    assert_eq!(connections, 1, "one reads after the other");
    read().unwrap();
    // The second run less the first, which the statement still counts.
    read().unwrap();
    let none: Option<fn(TraceEvent<'_>)> = None;
    store
        .inner
        .readers
        .each_idle(|db| db.trace_v2(TraceEventCodes::empty(), none).unwrap());
    let mut asked = Asked::default();
    for (sql, [steps, sorts]) in runs.lock().unwrap().iter() {
        let of_one_run = |all: &[i64]| all[all.len() - 1] - all[all.len() / 2 - 1];
        asked.steps += of_one_run(steps);
        asked.sorts += of_one_run(sorts);
        asked.statements.insert(sql.clone());
    }
    asked
}

type Read = fn(&Store) -> Result<(), StoreError>;

fn messages(store: &Store, query: MessageQuery) -> Result<(), StoreError> {
    let found = store.messages_page(&MessageQuery { max: 51, ..query })?;
    assert_eq!(found.found.len(), 51);
    Ok(())
}

fn calls(store: &Store, text: Option<&str>) -> Result<(), StoreError> {
    store
        .calls_page(None, 51, text)
        .map(|found| assert_eq!(found.found.len(), 51))
}

fn bob() -> MessageQuery {
    MessageQuery {
        mailbox: Some("bob".to_owned()),
        ..MessageQuery::default()
    }
}

fn deliveries(store: &Store, recipient: Option<&str>, state: Option<DeliveryState>) -> Result<(), StoreError> {
    let which = WhichDeliveries {
        recipient: recipient.map(str::to_owned),
        state,
    };
    let found = store.deliveries_before(&which, None, 51, 0)?;
    assert!(!found.is_empty());
    Ok(())
}

/// What pages show at once.
const BOUNDED: [(&str, Read); 22] = [
    ("totals", |store| store.totals().map(drop)),
    ("space", |store| store.space().map(drop)),
    ("waiting", |store| store.waiting("bob").map(drop)),
    ("a mailbox", |store| messages(store, bob())),
    ("new ones", |store| {
        messages(
            store,
            MessageQuery {
                heard: Some(false),
                ..bob()
            },
        )
    }),
    ("the trash", |store| {
        messages(store, MessageQuery { trash: true, ..bob() })
    }),
    ("a search", |store| {
        messages(
            store,
            MessageQuery {
                text: Some("zoe".to_owned()),
                trash: true,
                ..bob()
            },
        )
    }),
    ("an older page", |store| {
        messages(
            store,
            MessageQuery {
                before: Some("0100000500".to_owned()),
                ..bob()
            },
        )
    }),
    ("all mailboxes", |store| messages(store, MessageQuery::default())),
    ("new ones of all", |store| {
        messages(
            store,
            MessageQuery {
                heard: Some(false),
                ..MessageQuery::default()
            },
        )
    }),
    ("calls", |store| calls(store, None)),
    ("calls found by address", |store| calls(store, Some("ANN@"))),
    ("calls before a moment", |store| {
        let found = store.calls_back(&Begun::at(700), 51, &CallsSought::default(), |callee| {
            callee.contains("bob")
        })?;
        assert_eq!(found.found.len(), 51);
        Ok(())
    }),
    ("calls from a moment on", |store| {
        let found = store.calls_from(&Begun::at(700), i64::MAX, 51)?;
        assert_eq!(found.len(), 51);
        Ok(())
    }),
    ("calls by hour", |store| store.calls_by_hour(0).map(drop)),
    ("notices", |store| deliveries(store, None, None)),
    ("dead letters", |store| {
        deliveries(store, None, Some(DeliveryState::Dead))
    }),
    ("notices to one", |store| deliveries(store, Some("eve"), None)),
    ("dead letters to one", |store| {
        deliveries(store, Some("eve"), Some(DeliveryState::Dead))
    }),
    ("the audit", |store| store.audit(None, None, 51).map(drop)),
    ("the audit of one", |store| {
        store.audit(Some(("bob", Role::Subscriber)), None, 51).map(drop)
    }),
    ("what has gone", |store| {
        store.newest_retention_audit("bob", 50).map(drop)
    }),
];

#[test]
fn what_a_page_asks_does_not_grow_with_the_store() {
    let ((_a, small), (_b, large)) = (filled(1_000), filled(10_000));
    for (what, read) in BOUNDED {
        let (little, much) = (asked(&small, || read(&small)), asked(&large, || read(&large)));
        println!("{what}: {} steps, {} with ten times as much", little.steps, much.steps);
        assert!(
            much.steps <= little.steps + little.steps / 10 + 50,
            "{what}: {} steps with a little in the store, {} with ten times as much: {:#?}",
            little.steps,
            much.steps,
            much.statements
        );
        // The audit of one merges two short lists.
        assert!(
            much.sorts == 0 || what == "the audit of one",
            "{what} sorts: {:#?}",
            much.statements
        );
    }
}

/// How a statement is done, as SQLite says it.
fn plan(db: &Connection, sql: &str) -> String {
    let mut explained = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // Its parameters need no values for that.
    let mut rows = explained.raw_query();
    let mut lines: Vec<String> = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get(3).unwrap());
    }
    lines.join("; ")
}

#[test]
fn what_must_see_a_whole_mailbox_sees_its_index_alone() {
    let (_dir, store) = filled(1_000);
    let search = || {
        store.messages_page(&MessageQuery {
            text: Some("nobody".to_owned()),
            max: 51,
            ..bob()
        })
    };
    let searched = asked(&store, || search().map(|found| assert!(found.found.is_empty())));
    let foreseen = asked(&store, || store.foresee_retention("bob", 0).map(drop));
    for asked in [searched, foreseen] {
        let of_messages: Vec<String> = asked
            .statements
            .iter()
            .filter(|sql| sql.contains("FROM message"))
            .cloned()
            .collect();
        assert_eq!(of_messages.len(), 1);
        let plan = store.read(|db| Ok(plan(db, &of_messages[0]))).unwrap();
        assert!(
            plan.starts_with("SEARCH message USING COVERING INDEX message_list (mailbox=?"),
            "{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        assert!(asked.steps < 1_000 * 40, "{} steps for 1,000 messages", asked.steps);
    }
}

#[test]
fn a_search_in_vain_ends_at_its_bound_and_goes_on_there() {
    let (_dir, store) = filled(u32::try_from(LOOKED_AT_MAX).unwrap() + 5);
    let query = MessageQuery {
        text: Some("nobody".to_owned()),
        max: 51,
        ..bob()
    };
    let first = store.messages_page(&query).unwrap();
    assert!(first.found.is_empty());
    assert_eq!(first.ended_at.as_deref(), Some("0100000005bob"));
    let rest = store
        .messages_page(&MessageQuery {
            before: first.ended_at,
            ..query.clone()
        })
        .unwrap();
    assert_eq!((rest.found.len(), rest.ended_at), (0, None));
    // The oldest of all is found by going on.
    let oldest = MessageQuery {
        text: Some("ZOE".to_owned()),
        trash: true,
        before: Some("0100000005bob".to_owned()),
        ..query
    };
    assert_eq!(
        store.messages_page(&oldest).unwrap().found[0].message.id,
        "0100000000bob"
    );
    // So it is with calls.
    let first = store.calls_page(None, 51, Some("nobody")).unwrap();
    assert_eq!(first.ended_at.as_deref(), Some("0100000005"));
    assert_eq!(
        store
            .calls_page(first.ended_at.as_deref(), 51, Some("nobody"))
            .unwrap()
            .ended_at,
        None
    );
    let rejected = CallsSought {
        is_rejected: true,
        ..CallsSought::default()
    };
    let back = |before: &Begun| store.calls_back(before, 51, &rejected, |_| true).unwrap();
    let first = back(&Begun::at(i64::MAX));
    assert_eq!(first.ended_at.as_deref(), Some("5:0100000005"));
    assert_eq!(back(&first.ended_at.unwrap().parse().unwrap()).ended_at, None);
}

/// What is kept counted, and the same counted anew.
fn counted(store: &Store) -> ([String; 2], [String; 2]) {
    let list = |sql: &str| {
        let rows = |db: &Connection| -> Result<String, StoreError> {
            let mut rows = db.prepare(sql)?;
            let rows = rows.query_map([], |row| row.get::<_, String>(0))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?.join("\n"))
        };
        store.read(rows).unwrap()
    };
    let place = "CASE WHEN deleted_at IS NOT NULL THEN 'trash' WHEN heard_at IS NULL THEN 'new' ELSE 'heard' END";
    let kept = [
        list("SELECT concat_ws(' ', mailbox, place, kind, messages, urgent) FROM tally ORDER BY mailbox, place, kind"),
        list("SELECT concat_ws(' ', what, count, bytes) FROM total WHERE count + bytes > 0 ORDER BY what"),
    ];
    let anew = [
        list(&format!(
            "SELECT concat_ws(' ', mailbox, {place}, kind, count(*), sum(urgent)) FROM message
             GROUP BY mailbox, {place}, kind ORDER BY mailbox, {place}, kind"
        )),
        list(&format!(
            "SELECT concat_ws(' ', what, count, bytes) FROM (
                 SELECT {place} AS what, count(*) AS count, sum(bytes) AS bytes FROM message GROUP BY 1
                 UNION ALL SELECT 'subscriber', count(*), 0 FROM subscriber UNION ALL SELECT 'call', count(*), 0 FROM call
                 UNION ALL SELECT 'file', count(*), coalesce(sum(bytes), 0) FROM blob WHERE place = 'dir')
             WHERE count + bytes > 0 ORDER BY what"
        )),
    ];
    (kept, anew)
}

#[test]
fn what_is_kept_counted_is_what_there_is() {
    let (_dir, store) = filled(40);
    for change in [
        "SELECT 1",
        "UPDATE message SET heard_at = 9 WHERE mailbox = 'bob' AND heard_at IS NULL",
        "UPDATE message SET heard_at = NULL, urgent = 1, kind = 'audio' WHERE id LIKE '%3bob'",
        "UPDATE message SET bytes = 1000, deleted_at = 7 WHERE mailbox = 'eve'",
        "UPDATE message SET deleted_at = NULL WHERE id LIKE '%2eve'",
        "DELETE FROM message WHERE mailbox = 'eve'",
        "INSERT OR REPLACE INTO call (id, sip_call_id, started_at, record) VALUES ('0100000001', 'x', 1, '{}'), ('02', 'y', 2, '{}')",
        "DELETE FROM call WHERE id < '0100000009'",
        "INSERT INTO subscriber (user) VALUES ('bob'), ('zoe') ON CONFLICT DO UPDATE SET dnd = 1",
        "DELETE FROM subscriber WHERE user = 'eve'",
        "INSERT INTO blob (staged, stager, staged_at, bytes, place) VALUES (1, 'server', 0, 5, 'dir'), (1, 'server', 0, 6, 'dir')",
        "UPDATE blob SET bytes = bytes + 10 WHERE place = 'dir'",
        "DELETE FROM blob WHERE place = 'dir' AND bytes = 15",
    ] {
        store.write(move |tx| Ok(tx.execute_batch(change)?)).unwrap();
        let (kept, anew) = counted(&store);
        assert_eq!(kept, anew, "{change}");
    }
    let parties = "SELECT count(*) FROM call_party WHERE id < '0100000009'";
    let left: i64 = store
        .read(|db| Ok(db.query_row(parties, [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(left, 0, "who called whom goes with the call");
}
