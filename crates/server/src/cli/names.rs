//! Numbers and aliases of a command line, in the form in which they are looked up.

use segue_policy::{ALIASES_MAX, NUMBERS_MAX, Normalised};
use segue_sip_wire::Uri;

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
    let profiles = load_profiles(&context.config)?;
    let made: Vec<Normalised> = profiles.iter().map(|profile| profile.normalise(value)).collect();
    made.iter().find_map(|made| made.number.clone()).ok_or_else(|| {
        let why = made.first().map_or("there is no profile", |made| made.rule.as_str());
        Failure::usage(
            format!("{value:?} is no number that any profile knows: {why}"),
            "write it in E.164, e.g. +4930123456; 'segue number explain' says what becomes of a number",
        )
    })
}

fn alias(value: &str, context: &Context) -> Result<String, Failure> {
    let wrong = |why: &str| {
        Failure::usage(
            format!("{value:?} is no alias: {why}"),
            "write it as sip:user@host or tel:+4930123456",
        )
    };
    let uri: Uri = value.parse().map_err(|error| wrong(&format!("{error}")))?;
    if uri.is_tel() {
        return Ok(format!("tel:{}", number(value, context)?));
    }
    let plain = uri.params().all(|(name, _)| name.eq_ignore_ascii_case("user"));
    if uri.port().is_some() || uri.headers().is_some() || !plain {
        return Err(wrong(
            "it is found whatever the port and the parameters are, and names none",
        ));
    }
    let address = uri.address_of_record().filter(|_| uri.is_sip());
    let address = address.ok_or_else(|| wrong("it is neither a SIP URI with a user nor a tel: URI"))?;
    Ok(address.to_string())
}
