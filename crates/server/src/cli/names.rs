//! Numbers and aliases of a command line, in the form in which they are looked up.

use segue_manage::written;
use segue_policy::{ALIASES_MAX, NUMBERS_MAX};

use super::Context;
use crate::{config::load_profiles, failure::Failure};

/// Numbers in E.164, by the first profile that knows them; none and `none` stay as they are.
pub fn numbers(said: Vec<String>, context: &Context) -> Result<Vec<String>, Failure> {
    each(said, ("numbers", NUMBERS_MAX), |value| number(value, context))
}

/// Aliases in canonical form; none and `none` stay as they are.
pub fn aliases(said: Vec<String>, context: &Context) -> Result<Vec<String>, Failure> {
    each(said, ("aliases", ALIASES_MAX), |value| alias(value, context))
}

fn each(
    mut said: Vec<String>,
    (what, max): (&str, usize),
    read: impl Fn(&str) -> Result<String, Failure>,
) -> Result<Vec<String>, Failure> {
    if said.is_empty() || said == ["none"] {
        return Ok(said);
    }
    for value in &mut said {
        *value = read(value)?;
    }
    said.sort();
    said.dedup();
    match said.len() {
        count if count > max => Err(Failure::usage(
            format!("a subscriber has at most {max} {what}, not {count}"),
            "make another subscriber",
        )),
        _ => Ok(said),
    }
}

fn number(value: &str, context: &Context) -> Result<String, Failure> {
    written::number(value, &load_profiles(&context.config)?).map_err(|wrong| {
        Failure::usage(
            wrong,
            "write it in E.164, e.g. +4930123456; 'segue number explain' says what becomes of a number",
        )
    })
}

fn alias(value: &str, context: &Context) -> Result<String, Failure> {
    written::alias(value, &load_profiles(&context.config)?)
        .map_err(|wrong| Failure::usage(wrong, "write it as sip:user@host or tel:+4930123456"))
}
