//! Members that nobody knows, or that cannot be read, are refused by name within what is given, too: a slip of the pen changes nothing.

use std::marker::PhantomData;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, Visitor, value},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

use crate::Refusal;

/// Longest text of what is wrong, characters.
const WRONG_MAX: usize = 200;

/// A value, and what is wrong with it as it was given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strict<T> {
    /// The value; where something is wrong, nobody's.
    pub value: T,
    wrong: Option<String>,
}

impl<T> From<T> for Strict<T> {
    fn from(value: T) -> Strict<T> {
        Strict { value, wrong: None }
    }
}

impl<T: DeserializeOwned> Strict<T> {
    /// Error: [`Refusal::Invalid`] that names the member.
    pub(crate) fn check(&self, field: &'static str) -> Result<(), Refusal> {
        match &self.wrong {
            None => Ok(()),
            Some(wrong) => Err(Refusal::invalid(
                field,
                wrong.chars().take(WRONG_MAX).collect::<String>(),
            )),
        }
    }
}

/// The value, or what is wrong with it by the member's name. Each member can be left out.
fn read<T: DeserializeOwned>(given: Value) -> Result<T, String> {
    let known = members_of::<T>();
    let Value::Object(given) = given else {
        return Err(format!("an object is needed; its members are {}", known.join(", ")));
    };
    if let Some(unknown) = given.keys().find(|name| !known.contains(&name.as_str())) {
        let unknown: String = unknown.chars().take(40).collect();
        return Err(format!("it has no member {unknown:?}; there are {}", known.join(", ")));
    }
    for (name, value) in &given {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        if let Err(why) = T::deserialize(Value::Object(alone)) {
            return Err(format!("{name}: {why}"));
        }
    }
    T::deserialize(Value::Object(given)).map_err(|why| why.to_string())
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict<T>, D::Error> {
        let given = Value::deserialize(deserializer)?;
        Ok(match read(given) {
            Ok(value) => Strict { value, wrong: None },
            Err(wrong) => Strict {
                value: T::default(),
                wrong: Some(wrong),
            },
        })
    }
}

/// The members of a struct, as it reads them itself.
fn members_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut asked = Asked(&[], PhantomData);
    // It is told nothing: it fails once it has said what it wants.
    let _ = T::deserialize(&mut asked);
    asked.0
}

struct Asked<'de>(&'static [&'static str], PhantomData<&'de ()>);

impl<'de> Deserializer<'de> for &mut Asked<'de> {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, value::Error> {
        self.0 = fields;
        Err(value::Error::custom("nothing is given"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("nothing is given"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use segue_policy::{AccountCaps, Notify};

    use super::*;

    #[test]
    fn a_member_that_is_not_known_is_named_and_known_ones_are_read() {
        let caps: Strict<AccountCaps> = serde_json::from_str(r#"{"calls_at_once": 2}"#).unwrap();
        assert_eq!((caps.value.calls_at_once, caps.check("caps")), (Some(2), Ok(())));
        let caps: Strict<AccountCaps> = serde_json::from_str(r#"{"calls_at_ones": 2}"#).unwrap();
        let why = caps.check("caps").unwrap_err().to_string();
        assert!(why.starts_with("caps: it has no member \"calls_at_ones\""), "{why}");
        assert!(members_of::<Notify>().contains(&"message_to"));
        for (given, wrong) in [
            ("7", "notify: an object is needed"),
            (r#"{"by": "mail"}"#, "notify: by: invalid type"),
            (
                r#"{"mail": "a@b.example", "attach": "some"}"#,
                "notify: attach: unknown variant",
            ),
        ] {
            let given: Strict<Notify> = serde_json::from_str(given).unwrap();
            let why = given.check("notify").unwrap_err().to_string();
            assert!(why.starts_with(wrong), "{why}");
            assert_eq!(given.value, Notify::default());
        }
    }
}
