/// 24: clips on their way in by HTTP, and how a clip looks in a browser.
pub(super) const UPLOADS: &str = "
CREATE TABLE upload (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    by         TEXT NOT NULL,
    source     TEXT NOT NULL,
    subscriber TEXT REFERENCES subscriber (user) ON DELETE CASCADE,
    clip       TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'queued', 'preparing', 'ready', 'refused')),
    why        TEXT NOT NULL DEFAULT '',
    fix        TEXT NOT NULL DEFAULT '',
    begun_at   INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_subscriber ON upload (subscriber);
ALTER TABLE own_clip ADD COLUMN uploaded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clip ADD COLUMN preview INTEGER REFERENCES blob (id);
ALTER TABLE clip ADD COLUMN preview_type TEXT;
DELETE FROM own_clip WHERE clip NOT IN (SELECT name FROM clip);
";
