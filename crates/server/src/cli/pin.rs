//! `segue subscriber set USER --pin-file`, `segue subscriber unlock`.

use std::path::Path;

use segue_policy::Pin;
use segue_records::UnixMs;
use segue_store::{PinState, Store};
use serde_json::{Value, json};

use super::{Context, now_ms};
use crate::{
    failure::Failure,
    passwords::{self, Sealer},
    pins,
};

/// What a PIN file says: `None` for `none`.
pub fn read(path: &Path, user: &str, context: &Context) -> Result<Option<Vec<u8>>, Failure> {
    if path == Path::new("none") {
        return Ok(None);
    }
    let digits = passwords::secret_line("--pin-file", path)?;
    seal(&digits, &path.display().to_string(), user, context).map(Some)
}

/// What a PIN is checked by; `from`: where the digits stand.
pub fn seal(digits: &str, from: &str, user: &str, context: &Context) -> Result<Vec<u8>, Failure> {
    let pin = Pin::chosen(digits).map_err(|wrong| {
        // Never the digits.
        Failure::refused(
            "bad_secret",
            format!("{from}: {wrong}"),
            "write 4 to 10 digits into it, e.g. those of 'shuf -i 100000-999999 -n 1'",
        )
    })?;
    // Made with the data directory, where there is none yet.
    context.new_store()?;
    let sealer = Sealer::of(&context.config.data_dir)?;
    let failed = || Failure::refused("system", "no random numbers are to be had", "see 'segue doctor'");
    pins::keep(&sealer, user, &pin).ok_or_else(failed)
}

/// `segue subscriber unlock USER`.
pub fn unlock(user: &str, context: &Context) -> Result<(), Failure> {
    let was_locked = context.store()?.unlock_pin(user, now_ms())?;
    context
        .out
        .object(&json!({"user": user, "was_locked": was_locked}), || match was_locked {
            true => format!("unlocked the PIN of {user}"),
            false => format!("the PIN of {user} was not locked; wrong tries count from the first again"),
        })
}

/// How a subscriber's PIN stands, for programs and for people.
pub fn shown(store: &Store, user: &str) -> Result<(Value, String), Failure> {
    Ok(match store.pin(user)? {
        None => (Value::Null, "none".to_owned()),
        Some(PinState { wrong, locked_until_ms }) => {
            let locked = (locked_until_ms > now_ms()).then_some(locked_until_ms);
            let value = json!({"wrong_tries": wrong, "locked_until": locked.map(|ms| UnixMs(ms).rfc3339())});
            let words = match (locked, wrong) {
                (Some(ms), _) => format!("locked until {} after {wrong} wrong tries", UnixMs(ms).rfc3339()),
                (None, 0) => "set".to_owned(),
                (None, wrong) => format!("set, {wrong} wrong tries"),
            };
            (value, words)
        }
    })
}
