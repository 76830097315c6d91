//! The step that lets pages and lists be answered however much is stored.

/// 25: what is counted is kept counted, by triggers; and each list has an index in its order.
///
/// `message_list` has all that lists, searches and retention ask of a mailbox, so that none of them reads the messages themselves; it takes the
/// place of three that each had a part of it.
pub(super) const COUNTED: &str = "
CREATE TABLE tally (
    mailbox  TEXT NOT NULL,
    place    TEXT NOT NULL CHECK (place IN ('new', 'heard', 'trash')),
    kind     TEXT NOT NULL,
    messages INTEGER NOT NULL,
    urgent   INTEGER NOT NULL,
    PRIMARY KEY (mailbox, place, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO tally (mailbox, place, kind, messages, urgent)
    SELECT mailbox, CASE WHEN deleted_at IS NOT NULL THEN 'trash' WHEN heard_at IS NULL THEN 'new' ELSE 'heard' END, kind,
           count(*), sum(urgent)
    FROM message GROUP BY 1, 2, 3;

CREATE TABLE total (
    what  TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO total (what, count, bytes) VALUES
    ('new', (SELECT count(*) FROM message WHERE deleted_at IS NULL AND heard_at IS NULL),
            (SELECT coalesce(sum(bytes), 0) FROM message WHERE deleted_at IS NULL AND heard_at IS NULL)),
    ('heard', (SELECT count(*) FROM message WHERE deleted_at IS NULL AND heard_at IS NOT NULL),
              (SELECT coalesce(sum(bytes), 0) FROM message WHERE deleted_at IS NULL AND heard_at IS NOT NULL)),
    ('trash', (SELECT count(*) FROM message WHERE deleted_at IS NOT NULL),
              (SELECT coalesce(sum(bytes), 0) FROM message WHERE deleted_at IS NOT NULL)),
    ('subscriber', (SELECT count(*) FROM subscriber), 0),
    ('call', (SELECT count(*) FROM call), 0),
    ('file', (SELECT count(*) FROM blob WHERE place = 'dir'), (SELECT coalesce(sum(bytes), 0) FROM blob WHERE place = 'dir'));

CREATE TRIGGER tally_added AFTER INSERT ON message BEGIN
    INSERT INTO tally (mailbox, place, kind, messages, urgent)
    VALUES (NEW.mailbox, CASE WHEN NEW.deleted_at IS NOT NULL THEN 'trash' WHEN NEW.heard_at IS NULL THEN 'new' ELSE 'heard' END,
            NEW.kind, 1, NEW.urgent)
    ON CONFLICT DO UPDATE SET messages = messages + 1, urgent = urgent + excluded.urgent;
    UPDATE total SET count = count + 1, bytes = bytes + NEW.bytes
    WHERE what = CASE WHEN NEW.deleted_at IS NOT NULL THEN 'trash' WHEN NEW.heard_at IS NULL THEN 'new' ELSE 'heard' END;
END;
CREATE TRIGGER tally_gone AFTER DELETE ON message BEGIN
    UPDATE tally SET messages = messages - 1, urgent = urgent - OLD.urgent
    WHERE mailbox = OLD.mailbox AND kind = OLD.kind
        AND place = CASE WHEN OLD.deleted_at IS NOT NULL THEN 'trash' WHEN OLD.heard_at IS NULL THEN 'new' ELSE 'heard' END;
    DELETE FROM tally WHERE mailbox = OLD.mailbox AND messages = 0;
    UPDATE total SET count = count - 1, bytes = bytes - OLD.bytes
    WHERE what = CASE WHEN OLD.deleted_at IS NOT NULL THEN 'trash' WHEN OLD.heard_at IS NULL THEN 'new' ELSE 'heard' END;
END;
CREATE TRIGGER tally_changed AFTER UPDATE OF mailbox, kind, heard_at, deleted_at, urgent, bytes ON message BEGIN
    UPDATE tally SET messages = messages - 1, urgent = urgent - OLD.urgent
    WHERE mailbox = OLD.mailbox AND kind = OLD.kind
        AND place = CASE WHEN OLD.deleted_at IS NOT NULL THEN 'trash' WHEN OLD.heard_at IS NULL THEN 'new' ELSE 'heard' END;
    INSERT INTO tally (mailbox, place, kind, messages, urgent)
    VALUES (NEW.mailbox, CASE WHEN NEW.deleted_at IS NOT NULL THEN 'trash' WHEN NEW.heard_at IS NULL THEN 'new' ELSE 'heard' END,
            NEW.kind, 1, NEW.urgent)
    ON CONFLICT DO UPDATE SET messages = messages + 1, urgent = urgent + excluded.urgent;
    DELETE FROM tally WHERE mailbox = OLD.mailbox AND messages = 0;
    UPDATE total SET count = count - 1, bytes = bytes - OLD.bytes
    WHERE what = CASE WHEN OLD.deleted_at IS NOT NULL THEN 'trash' WHEN OLD.heard_at IS NULL THEN 'new' ELSE 'heard' END;
    UPDATE total SET count = count + 1, bytes = bytes + NEW.bytes
    WHERE what = CASE WHEN NEW.deleted_at IS NOT NULL THEN 'trash' WHEN NEW.heard_at IS NULL THEN 'new' ELSE 'heard' END;
END;

CREATE TRIGGER total_subscriber_added AFTER INSERT ON subscriber BEGIN
    UPDATE total SET count = count + 1 WHERE what = 'subscriber';
END;
CREATE TRIGGER total_subscriber_gone AFTER DELETE ON subscriber BEGIN
    UPDATE total SET count = count - 1 WHERE what = 'subscriber';
END;
-- Before: a call that is replaced is none more, and its deletion fires no trigger.
CREATE TRIGGER total_call_added BEFORE INSERT ON call WHEN NOT EXISTS (SELECT 1 FROM call WHERE id = NEW.id) BEGIN
    UPDATE total SET count = count + 1 WHERE what = 'call';
END;
CREATE TRIGGER total_call_gone AFTER DELETE ON call BEGIN
    UPDATE total SET count = count - 1 WHERE what = 'call';
    DELETE FROM call_party WHERE id = OLD.id;
END;
CREATE TRIGGER total_file_added AFTER INSERT ON blob WHEN NEW.place = 'dir' BEGIN
    UPDATE total SET count = count + 1, bytes = bytes + NEW.bytes WHERE what = 'file';
END;
CREATE TRIGGER total_file_grown AFTER UPDATE OF bytes ON blob WHEN NEW.place = 'dir' BEGIN
    UPDATE total SET bytes = bytes + NEW.bytes - OLD.bytes WHERE what = 'file';
END;
CREATE TRIGGER total_file_gone AFTER DELETE ON blob WHEN OLD.place = 'dir' BEGIN
    UPDATE total SET count = count - 1, bytes = bytes - OLD.bytes WHERE what = 'file';
END;

CREATE INDEX message_list ON message (mailbox, id, deleted_at, heard_at, pinned, kind, caller, caller_name, received_at, warned_at,
                                      bytes, duration_ms);
DROP INDEX message_mailbox;
DROP INDEX message_heard;
DROP INDEX message_ages;

CREATE TABLE call_party (
    id     TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    callee TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO call_party (id, caller, callee)
    SELECT id, coalesce(CAST(CASE WHEN json_valid(record) THEN json_extract(record, '$.from') END AS TEXT), ''),
           coalesce(CAST(CASE WHEN json_valid(record) THEN json_extract(record, '$.to') END AS TEXT), '')
    FROM call;

CREATE INDEX delivery_in_state ON delivery (state);
CREATE INDEX delivery_of_recipient ON delivery (recipient, state);
CREATE INDEX delivery_counted ON delivery (state, channel, since);

CREATE INDEX subscriber_clip ON subscriber (clip) WHERE clip IS NOT NULL;
CREATE INDEX subscriber_greeting ON subscriber (greeting) WHERE greeting IS NOT NULL;
CREATE INDEX rule_clip ON rule (clip) WHERE clip IS NOT NULL;
CREATE INDEX rule_greeting ON rule (greeting) WHERE greeting IS NOT NULL;
";
