//! `segue subscriber set USER --pin-file`, `segue subscriber unlock`.

use std::path::Path;

use segue_manage::PinView;
use segue_policy::Pin;
use serde_json::{Value, json};

use super::Context;
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
    context.new_access()?;
    let sealer = Sealer::of(&context.config.data_dir)?;
    let failed = || Failure::refused("system", "no random numbers are to be had", "see 'segue doctor'");
    pins::keep(&sealer, user, &pin).ok_or_else(failed)
}

/// `segue subscriber unlock USER`.
pub fn unlock(user: &str, context: &Context) -> Result<(), Failure> {
    let was_locked = context.access()?.unlock_pin(user)?;
    context
        .out
        .object(&json!({"user": user, "was_locked": was_locked}), || match was_locked {
            true => format!("unlocked the PIN of {user}"),
            false => format!("the PIN of {user} was not locked; wrong tries count from the first again"),
        })
}

/// How a subscriber's PIN stands, for programs and for people.
pub fn shown(pin: &PinView) -> (Value, String) {
    let PinView {
        is_set: true,
        wrong_tries: wrong,
        locked_until,
    } = pin
    else {
        return (Value::Null, "none".to_owned());
    };
    let words = match (locked_until, wrong) {
        (Some(until), _) => format!("locked until {until} after {wrong} wrong tries"),
        (None, 0) => "set".to_owned(),
        (None, wrong) => format!("set, {wrong} wrong tries"),
    };
    (json!({"wrong_tries": wrong, "locked_until": locked_until}), words)
}
