//! The schema's steps: step N, counted from 1, makes version N out of version N - 1.
//!
//! A new database runs all of them, an older one those it lacks; each in one transaction together with its
//! `user_version`. A step that has been released is never changed: what it lacks is a further step.
//!
//! To add one: append a constant here and to [`STEPS`], describe the tables in `schema.rs`, and let
//! `tests/migrations.rs` show that a database of version 1 comes out with its rows.

mod counted;
mod identities;
mod uploads;

use counted::COUNTED;
use identities::{AUDIT_BOUNDS, IDENTITIES};
use uploads::UPLOADS;

/// Every step, in order.
pub(crate) const STEPS: &[&str] = &[
    FIRST,
    RETENTION,
    TARGETS,
    FOLLOWING,
    CALL_ORDER,
    ANSWER_AT,
    HOLD_ON,
    NUMBERS,
    ALIASES,
    RULES,
    REGISTRATIONS,
    PINS,
    NOTICES,
    MENU,
    ACCOUNTS,
    TRUNKS,
    OWN_CLIPS,
    GROUPS,
    CALL_HOURS,
    DIRECTORY_OF_ALIASES,
    IDENTITIES,
    AUDIT_BOUNDS,
    STRETCHES,
    UPLOADS,
    COUNTED,
    OWN_TARGETS,
];

/// 1: subscribers, clips, messages, calls.
const FIRST: &str = "
CREATE TABLE blob (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    staged    INTEGER NOT NULL CHECK (staged IN (0, 1)),
    stager    TEXT NOT NULL CHECK (stager IN ('server', 'command')),
    staged_at INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;
CREATE INDEX blob_staged ON blob (id) WHERE staged = 1;

CREATE TABLE blob_chunk (
    id   INTEGER PRIMARY KEY,
    blob INTEGER NOT NULL REFERENCES blob (id),
    seq  INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (blob, seq)
) STRICT;

CREATE TABLE clip (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    duration_ms INTEGER NOT NULL,
    poster      INTEGER REFERENCES blob (id)
) STRICT;

CREATE TABLE rendition (
    clip             INTEGER NOT NULL REFERENCES clip (id),
    profile          TEXT NOT NULL,
    profile_level_id BLOB,
    cache            INTEGER NOT NULL REFERENCES blob (id),
    PRIMARY KEY (clip, profile)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriber (
    user         TEXT PRIMARY KEY,
    target       TEXT NOT NULL,
    clip         TEXT REFERENCES clip (name) DEFERRABLE INITIALLY DEFERRED,
    hold_ms      INTEGER,
    no_answer_ms INTEGER,
    greeting     TEXT REFERENCES clip (name) DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;

CREATE TABLE retention (
    mailbox   TEXT PRIMARY KEY,
    heard_max INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    id          TEXT PRIMARY KEY,
    mailbox     TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    caller      TEXT NOT NULL,
    caller_name TEXT,
    received_at INTEGER NOT NULL,
    heard_at    INTEGER,
    duration_ms INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('video', 'audio')),
    media_state TEXT NOT NULL CHECK (media_state IN ('ready', 'raw')),
    bytes       INTEGER NOT NULL,
    interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),
    media       INTEGER NOT NULL REFERENCES blob (id),
    media_type  TEXT NOT NULL,
    poster      INTEGER REFERENCES blob (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_mailbox ON message (mailbox, id);
CREATE INDEX message_heard ON message (mailbox, heard_at, id) WHERE heard_at IS NOT NULL;
CREATE INDEX message_sip_call_id ON message (sip_call_id);
CREATE INDEX message_raw ON message (id) WHERE media_state = 'raw';

CREATE TABLE gone (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message    TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    event      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notice_message ON notice (message);

CREATE TABLE call (
    id          TEXT PRIMARY KEY,
    sip_call_id TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    record      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX call_sip_call_id ON call (sip_call_id);
CREATE INDEX call_started_at ON call (started_at);
";

/// 2: rules beyond `heard_max`, pins, trash, warnings, the audit, leases, and media outside the database.
///
/// In `retention` NULL means the default and -1 means no limit; until now NULL was no limit.
const RETENTION: &str = "
ALTER TABLE retention ADD COLUMN heard_age_ms INTEGER;
ALTER TABLE retention ADD COLUMN unheard_max INTEGER;
ALTER TABLE retention ADD COLUMN unheard_age_ms INTEGER;
ALTER TABLE retention ADD COLUMN max_bytes INTEGER;
ALTER TABLE retention ADD COLUMN max_seconds INTEGER;
ALTER TABLE retention ADD COLUMN scope TEXT CHECK (scope IN ('mailbox', 'conversation'));
ALTER TABLE retention ADD COLUMN trash_ms INTEGER;
UPDATE retention SET heard_max = -1 WHERE heard_max IS NULL;

ALTER TABLE message ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
ALTER TABLE message ADD COLUMN warned_at INTEGER;
ALTER TABLE message ADD COLUMN deleted_at INTEGER;
ALTER TABLE message ADD COLUMN deleted_by TEXT;
CREATE INDEX message_ages ON message (mailbox, deleted_at, heard_at, received_at, warned_at, pinned);

CREATE TABLE retention_audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    mailbox      TEXT NOT NULL,
    conversation TEXT,
    message      TEXT NOT NULL,
    rule         TEXT NOT NULL,
    allowed      INTEGER NOT NULL,
    found        INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    heard_at     INTEGER,
    warned_at    INTEGER,
    deleted_at   INTEGER,
    bytes        INTEGER NOT NULL,
    duration_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX retention_audit_mailbox ON retention_audit (mailbox, id);
CREATE INDEX retention_audit_at ON retention_audit (at);

ALTER TABLE blob ADD COLUMN place TEXT NOT NULL DEFAULT 'sqlite' CHECK (place IN ('sqlite', 'dir'));
ALTER TABLE blob ADD COLUMN doomed INTEGER NOT NULL DEFAULT 0 CHECK (doomed IN (0, 1));
CREATE INDEX blob_doomed ON blob (id) WHERE doomed = 1;

CREATE TABLE lease (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    blob   INTEGER NOT NULL REFERENCES blob (id),
    holder TEXT NOT NULL CHECK (holder IN ('server', 'command')),
    until  INTEGER NOT NULL
) STRICT;
CREATE INDEX lease_blob ON lease (blob);

CREATE TABLE unlink (
    blob INTEGER PRIMARY KEY
) STRICT;
";

/// 3: several targets of a subscriber, and how they ring.
const TARGETS: &str = "
CREATE TABLE target (
    subscriber TEXT NOT NULL REFERENCES subscriber (user) ON DELETE CASCADE,
    place      INTEGER NOT NULL,
    uri        TEXT NOT NULL,
    PRIMARY KEY (subscriber, place)
) STRICT, WITHOUT ROWID;
INSERT INTO target (subscriber, place, uri) SELECT user, 0, target FROM subscriber;
ALTER TABLE subscriber ADD COLUMN ring TEXT NOT NULL DEFAULT 'together' CHECK (ring IN ('together', 'in-order'));
ALTER TABLE subscriber ADD COLUMN ring_ms INTEGER;
ALTER TABLE subscriber DROP COLUMN target;
";

/// 4: what happened to messages, for those who follow it, and requests that never became calls.
///
/// Triggers note the changes: whichever process makes one, by whatever way, it is noted in the same transaction. A
/// message is deleted for its mailbox when it goes to the trash, or at once where there is none.
const FOLLOWING: &str = "
CREATE TABLE change (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    what        TEXT NOT NULL CHECK (what IN ('committed', 'heard', 'unheard', 'deleted', 'restored')),
    message     TEXT NOT NULL,
    mailbox     TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    caller      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    rule        TEXT
) STRICT;

CREATE TRIGGER change_bound AFTER INSERT ON change BEGIN
    DELETE FROM change WHERE seq <= NEW.seq - 10000;
END;

CREATE TRIGGER message_committed AFTER INSERT ON message BEGIN
    INSERT INTO change (at, what, message, mailbox, call_id, sip_call_id, caller, kind, duration_ms, bytes)
    VALUES (CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER), 'committed', NEW.id, NEW.mailbox, NEW.call_id,
            NEW.sip_call_id, NEW.caller, NEW.kind, NEW.duration_ms, NEW.bytes);
END;

CREATE TRIGGER message_heard AFTER UPDATE OF heard_at ON message
WHEN (OLD.heard_at IS NULL) <> (NEW.heard_at IS NULL) BEGIN
    INSERT INTO change (at, what, message, mailbox, call_id, sip_call_id, caller, kind, duration_ms, bytes)
    VALUES (CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER),
            CASE WHEN NEW.heard_at IS NULL THEN 'unheard' ELSE 'heard' END, NEW.id, NEW.mailbox, NEW.call_id,
            NEW.sip_call_id, NEW.caller, NEW.kind, NEW.duration_ms, NEW.bytes);
END;

CREATE TRIGGER message_trashed AFTER UPDATE OF deleted_at ON message
WHEN (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) BEGIN
    INSERT INTO change (at, what, message, mailbox, call_id, sip_call_id, caller, kind, duration_ms, bytes, rule)
    VALUES (CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER),
            CASE WHEN NEW.deleted_at IS NULL THEN 'restored' ELSE 'deleted' END, NEW.id, NEW.mailbox, NEW.call_id,
            NEW.sip_call_id, NEW.caller, NEW.kind, NEW.duration_ms, NEW.bytes, NEW.deleted_by);
END;

CREATE TRIGGER message_gone AFTER DELETE ON message
WHEN OLD.deleted_at IS NULL BEGIN
    INSERT INTO change (at, what, message, mailbox, call_id, sip_call_id, caller, kind, duration_ms, bytes)
    VALUES (CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER), 'deleted', OLD.id, OLD.mailbox, OLD.call_id,
            OLD.sip_call_id, OLD.caller, OLD.kind, OLD.duration_ms, OLD.bytes);
END;

CREATE TABLE refused (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    id     TEXT NOT NULL UNIQUE,
    at     INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX refused_at ON refused (at);
";

/// 5: the order in which call records were committed, and how far the files of records have come.
const CALL_ORDER: &str = "
CREATE TABLE call_order (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    rejected INTEGER NOT NULL CHECK (rejected IN (0, 1))
) STRICT;
CREATE INDEX call_order_rejected ON call_order (seq) WHERE rejected = 1;
INSERT INTO call_order (id, rejected)
    SELECT id, json_extract(record, '$.result') IS 'rejected' FROM call ORDER BY started_at, id;

CREATE TABLE record_file (
    form TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// 6: when callers of a subscriber's mailbox get their 200.
const ANSWER_AT: &str = "
ALTER TABLE subscriber ADD COLUMN answer_at TEXT CHECK (answer_at IN ('greeting', 'after_greeting'));
";

/// 7: what callers are held on.
const HOLD_ON: &str = "
ALTER TABLE subscriber ADD COLUMN hold_on TEXT NOT NULL DEFAULT 'clip' CHECK (hold_on IN ('clip', 'greeting'));
";

/// 8: the numbers of subscribers, each once.
const NUMBERS: &str = "
CREATE TABLE number (
    number     TEXT PRIMARY KEY,
    subscriber TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX number_subscriber ON number (subscriber);
";

/// 9: other addresses of subscribers, each once, and by what their targets are reached.
const ALIASES: &str = "
CREATE TABLE alias (
    alias      TEXT PRIMARY KEY,
    user       TEXT NOT NULL,
    subscriber TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_user ON alias (user);
CREATE INDEX alias_subscriber ON alias (subscriber);
ALTER TABLE subscriber ADD COLUMN target_by TEXT NOT NULL DEFAULT 'host' CHECK (target_by IN ('host', 'next-hop'));
";

/// 10: contacts and rules of subscribers, their hours by their clock, and whether they want not to be disturbed.
///
/// `clip` and `greeting` of a rule stand in its JSON, too: here they keep a clip that is in use from being removed.
const RULES: &str = "
CREATE TABLE contact (
    subscriber TEXT NOT NULL REFERENCES subscriber (user) ON DELETE CASCADE,
    address    TEXT NOT NULL,
    name       TEXT,
    groups     TEXT NOT NULL,
    PRIMARY KEY (subscriber, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE rule (
    subscriber TEXT NOT NULL REFERENCES subscriber (user) ON DELETE CASCADE,
    place      INTEGER NOT NULL,
    clip       TEXT REFERENCES clip (name) DEFERRABLE INITIALLY DEFERRED,
    greeting   TEXT REFERENCES clip (name) DEFERRABLE INITIALLY DEFERRED,
    rule       TEXT NOT NULL,
    PRIMARY KEY (subscriber, place)
) STRICT, WITHOUT ROWID;

ALTER TABLE subscriber ADD COLUMN dnd INTEGER NOT NULL DEFAULT 0 CHECK (dnd IN (0, 1));
ALTER TABLE subscriber ADD COLUMN hours TEXT NOT NULL DEFAULT '[]';
ALTER TABLE subscriber ADD COLUMN zone TEXT NOT NULL DEFAULT 'UTC';
";

/// 11: registrations, what passwords are checked by, and how the server learns of either.
///
/// Triggers count the directory's version: whichever process changes subscribers, numbers or secrets, the server reads them again.
const REGISTRATIONS: &str = "
CREATE TABLE secret (
    subscriber TEXT NOT NULL REFERENCES subscriber (user) ON DELETE CASCADE,
    realm      TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (subscriber, realm)
) STRICT, WITHOUT ROWID;

CREATE TABLE registration (
    subscriber  TEXT NOT NULL,
    contact     TEXT NOT NULL,
    q           INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    sip_call_id TEXT NOT NULL,
    cseq        INTEGER NOT NULL,
    instance    TEXT,
    reg_id      INTEGER,
    path        TEXT NOT NULL,
    user_agent  TEXT,
    transport   TEXT NOT NULL CHECK (transport IN ('udp', 'tcp', 'tls')),
    local       TEXT NOT NULL,
    source      TEXT NOT NULL,
    by_source   INTEGER NOT NULL CHECK (by_source IN (0, 1)),
    PRIMARY KEY (subscriber, contact)
) STRICT, WITHOUT ROWID;

CREATE TABLE removal (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber TEXT NOT NULL,
    contact    TEXT
) STRICT;
CREATE TRIGGER removal_bound AFTER INSERT ON removal BEGIN
    DELETE FROM removal WHERE id <= NEW.id - 10000;
END;

CREATE TABLE directory (
    id      INTEGER PRIMARY KEY CHECK (id = 0),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO directory (id, version) VALUES (0, 1);
CREATE TRIGGER directory_subscriber_added AFTER INSERT ON subscriber BEGIN UPDATE directory SET version = version + 1; END;
CREATE TRIGGER directory_subscriber_gone AFTER DELETE ON subscriber BEGIN
    UPDATE directory SET version = version + 1;
    DELETE FROM registration WHERE subscriber = OLD.user;
    INSERT INTO removal (subscriber) VALUES (OLD.user);
END;
CREATE TRIGGER directory_number_added AFTER INSERT ON number BEGIN UPDATE directory SET version = version + 1; END;
CREATE TRIGGER directory_number_gone AFTER DELETE ON number BEGIN UPDATE directory SET version = version + 1; END;
CREATE TRIGGER directory_secret_added AFTER INSERT ON secret BEGIN UPDATE directory SET version = version + 1; END;
CREATE TRIGGER directory_secret_gone AFTER DELETE ON secret BEGIN UPDATE directory SET version = version + 1; END;
";

/// 12: PINs of subscribers, and how often they were tried in vain.
const PINS: &str = "
CREATE TABLE pin (
    subscriber   TEXT PRIMARY KEY REFERENCES subscriber (user) ON DELETE CASCADE,
    sealed       BLOB NOT NULL,
    wrong        INTEGER NOT NULL DEFAULT 0,
    locked_until INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
";

/// 13: what subscribers are told of and how, notices of what is no message, and their way to each recipient.
///
/// A notice of an event goes out once for each recipient and channel: that is a delivery. `facts` is absent in notices of before.
const NOTICES: &str = "
ALTER TABLE subscriber ADD COLUMN notify TEXT NOT NULL DEFAULT '{}';

ALTER TABLE notice RENAME TO notice_before;
DROP INDEX notice_message;
CREATE TABLE notice (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox    TEXT NOT NULL,
    message    TEXT REFERENCES message (id) ON DELETE CASCADE,
    event      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    facts      TEXT
) STRICT;
INSERT INTO notice (id, mailbox, message, event, created_at)
    SELECT n.id, m.mailbox, n.message, n.event, n.created_at FROM notice_before n JOIN message m ON m.id = n.message;
DROP TABLE notice_before;
CREATE INDEX notice_message ON notice (message);
CREATE INDEX notice_mailbox ON notice (mailbox, event, created_at);

CREATE TABLE delivery (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT NOT NULL UNIQUE,
    notice       INTEGER NOT NULL REFERENCES notice (id) ON DELETE CASCADE,
    recipient    TEXT NOT NULL,
    channel      TEXT NOT NULL CHECK (channel IN ('mail', 'webhook', 'message')),
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dead')),
    since        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER NOT NULL,
    leased_until INTEGER,
    settled_at   INTEGER,
    said         TEXT
) STRICT;
CREATE INDEX delivery_due ON delivery (channel, next_at) WHERE state = 'waiting';
CREATE INDEX delivery_state ON delivery (state, settled_at);
CREATE INDEX delivery_notice ON delivery (notice);
CREATE INDEX delivery_recipient ON delivery (recipient, id);
";

/// 14: whether callers of a subscriber choose what they leave, in which language they are spoken to, and which messages are urgent.
const MENU: &str = "
ALTER TABLE subscriber ADD COLUMN menu INTEGER CHECK (menu IN (0, 1));
ALTER TABLE subscriber ADD COLUMN language TEXT;
ALTER TABLE message ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1));
";

/// 15: how much subscribers may call, and how long they have on the last day on which they did.
const ACCOUNTS: &str = "
ALTER TABLE subscriber ADD COLUMN caps TEXT NOT NULL DEFAULT '{}';
CREATE TABLE spent (
    account TEXT PRIMARY KEY,
    day     TEXT NOT NULL,
    ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER directory_subscriber_changed AFTER UPDATE OF caps, zone ON subscriber
WHEN OLD.caps IS NOT NEW.caps OR OLD.zone IS NOT NEW.zone BEGIN
    UPDATE directory SET version = version + 1;
END;
";

/// 16: trunks that commands add.
const TRUNKS: &str = "
CREATE TABLE trunk (
    name     TEXT PRIMARY KEY,
    settings TEXT NOT NULL,
    sealed   BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE trunk_asked (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE trunks (
    id      INTEGER PRIMARY KEY CHECK (id = 0),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO trunks (id, version) VALUES (0, 1);
CREATE TRIGGER trunk_added AFTER INSERT ON trunk BEGIN UPDATE trunks SET version = version + 1; END;
CREATE TRIGGER trunk_gone AFTER DELETE ON trunk BEGIN UPDATE trunks SET version = version + 1; END;
";

/// 17: clips that subscribers have recorded by phone.
const OWN_CLIPS: &str = "
CREATE TABLE own_clip (
    clip        TEXT PRIMARY KEY,
    subscriber  TEXT NOT NULL REFERENCES subscriber (user) ON DELETE CASCADE,
    recorded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX own_clip_subscriber ON own_clip (subscriber, recorded_at);
";

/// 18: groups, whose messages are for several. Rows of one message share its media.
const GROUPS: &str = "
CREATE TABLE member (
    team       TEXT NOT NULL REFERENCES subscriber (user) ON DELETE CASCADE,
    subscriber TEXT NOT NULL REFERENCES subscriber (user) ON DELETE CASCADE,
    PRIMARY KEY (team, subscriber)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_subscriber ON member (subscriber);
CREATE INDEX message_media ON message (media);
CREATE INDEX message_poster ON message (poster) WHERE poster IS NOT NULL;
CREATE TRIGGER directory_member_added AFTER INSERT ON member BEGIN UPDATE directory SET version = version + 1; END;
CREATE TRIGGER directory_member_gone AFTER DELETE ON member BEGIN UPDATE directory SET version = version + 1; END;
";

/// 19: how many calls began in each hour, by what became of them; it outlives their records.
const CALL_HOURS: &str = "
CREATE TABLE call_hour (
    hour   INTEGER NOT NULL,
    result TEXT NOT NULL,
    calls  INTEGER NOT NULL,
    PRIMARY KEY (hour, result)
) STRICT, WITHOUT ROWID;
INSERT INTO call_hour (hour, result, calls)
    SELECT started_at / 3600000, CASE WHEN json_valid(record) THEN json_extract(record, '$.result') END AS result, count(*)
    FROM call GROUP BY 1, 2 HAVING result IS NOT NULL;
";

/// 20: a change of aliases is one of the directory.
const DIRECTORY_OF_ALIASES: &str = "
CREATE TRIGGER directory_alias_added AFTER INSERT ON alias BEGIN UPDATE directory SET version = version + 1; END;
CREATE TRIGGER directory_alias_gone AFTER DELETE ON alias BEGIN UPDATE directory SET version = version + 1; END;
";

/// 23: which parts of a message were played.
const STRETCHES: &str = "
CREATE TABLE stretch (
    message TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    from_ms INTEGER NOT NULL,
    to_ms   INTEGER NOT NULL,
    PRIMARY KEY (message, from_ms)
) STRICT, WITHOUT ROWID;
";

/// 26: which targets subscribers have set themselves. Those that are there are an operator's: nobody knows whose they are.
const OWN_TARGETS: &str = "
ALTER TABLE target ADD COLUMN own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1));
";
