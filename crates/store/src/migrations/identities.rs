//! The steps of identities and of the audit.

/// Who may log in, their sessions, links and tokens; who did what; how far messages were played.
pub(super) const IDENTITIES: &str = "
CREATE TABLE identity (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL CHECK (role IN ('operator', 'subscriber')),
    password   TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER identity_subscriber_gone AFTER DELETE ON subscriber BEGIN
    DELETE FROM identity WHERE name = OLD.user AND role = 'subscriber';
END;

CREATE TABLE session (
    hash       BLOB PRIMARY KEY,
    name       TEXT NOT NULL REFERENCES identity (name) ON DELETE CASCADE,
    source     TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_name ON session (name, used_at);
CREATE INDEX session_expires ON session (expires_at);

CREATE TABLE login_link (
    hash       BLOB PRIMARY KEY,
    name       TEXT NOT NULL REFERENCES identity (name) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_link_name ON login_link (name);

CREATE TABLE token (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL REFERENCES identity (name) ON DELETE CASCADE,
    label      TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX token_name ON token (name);

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    name   TEXT NOT NULL,
    by     TEXT NOT NULL,
    source TEXT NOT NULL,
    what   TEXT NOT NULL,
    object TEXT NOT NULL,
    owner  TEXT,
    detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_bound AFTER INSERT ON audit BEGIN
    DELETE FROM audit WHERE id <= NEW.id - 100000;
END;

CREATE TABLE played (
    message TEXT PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
    ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Deeds of subscribers are bounded for each of them, so that nobody pushes out what others did; those of operators and commands in all.
pub(super) const AUDIT_BOUNDS: &str = "
ALTER TABLE audit ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER audit_bound;
CREATE INDEX audit_name ON audit (name, id, own);
CREATE INDEX audit_owner ON audit (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX audit_own ON audit (own, id);
CREATE TRIGGER audit_bound_each AFTER INSERT ON audit WHEN NEW.own = 1 BEGIN
    DELETE FROM audit WHERE name = NEW.name AND own = 1 AND id <=
        (SELECT id FROM audit WHERE name = NEW.name AND own = 1 ORDER BY id DESC LIMIT 1 OFFSET 2000);
END;
CREATE TRIGGER audit_bound_all AFTER INSERT ON audit WHEN NEW.id % 64 = 0 BEGIN
    DELETE FROM audit WHERE own = 0 AND id <= (SELECT id FROM audit WHERE own = 0 ORDER BY id DESC LIMIT 1 OFFSET 100000);
    DELETE FROM audit WHERE own = 1 AND id <= (SELECT id FROM audit WHERE own = 1 ORDER BY id DESC LIMIT 1 OFFSET 200000);
END;
";
