//! The only SQL: SQLite.
