//! Members that nobody knows are refused within what is given, too: a slip of the pen changes nothing.

use std::marker::PhantomData;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, Visitor, value},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

use crate::Refusal;

/// A value, and the first of the members given that it has not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strict<T> {
    /// The value.
    pub value: T,
    unknown: Option<String>,
}

impl<T> From<T> for Strict<T> {
    fn from(value: T) -> Strict<T> {
        Strict { value, unknown: None }
    }
}

impl<T: DeserializeOwned> Strict<T> {
    /// Error: [`Refusal::Invalid`] that names the member.
    pub(crate) fn check(&self, field: &'static str) -> Result<(), Refusal> {
        match &self.unknown {
            None => Ok(()),
            Some(unknown) => {
                let known = members_of::<T>().join(", ");
                Err(Refusal::invalid(
                    field,
                    format!("it has no member {unknown:?}; there are {known}"),
                ))
            }
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict<T>, D::Error> {
        let given = Map::<String, Value>::deserialize(deserializer)?;
        let known = members_of::<T>();
        let unknown = given.keys().find(|name| !known.contains(&name.as_str()));
        Ok(Strict {
            unknown: unknown.map(|name| name.chars().take(40).collect()),
            value: T::deserialize(Value::Object(given)).map_err(D::Error::custom)?,
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
        assert!(serde_json::from_str::<Strict<Notify>>("7").is_err());
    }
}
