//! Names that stand twice in one file: which of the two is meant, nobody can say.
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The first name of `names` that was there before.
pub(super) fn repeated<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// The first key that stands twice in one object of a JSON document, at any depth: readers would take the last one unsaid.
/// `None` also of what is no JSON, which its reader refuses.
pub fn repeated_key(json: &[u8]) -> Option<String> {
    let mut found = None;
    // What it ends with is its reader's to say.
    let _ = Keys(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(json));
    found
}

/// Reads any value, and keeps the first key of an object that was there before.
struct Keys<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if self.0.is_none() && !seen.insert(key.clone()) {
                *self.0 = Some(key);
            }
            map.next_value_seed(Keys(self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Keys(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_that_stands_twice_is_found_at_any_depth() {
        for (json, found) in [
            (r#"{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": null}]}"#, None),
            (r#"{"a": 1, "b": true, "a": 1}"#, Some("a")),
            (r#"{"a": {"x": -1, "x": 1.5}, "b": 1, "b": 2}"#, Some("x")),
            (r#"[0, ["text", {"y": {}, "y": {}}]]"#, Some("y")),
            (r#"{"\u0061": 1, "a": 2}"#, Some("a")),
            (r#"{"a": 1, "a": "#, Some("a")),
            ("no JSON", None),
        ] {
            assert_eq!(repeated_key(json.as_bytes()).as_deref(), found, "{json}");
        }
    }
}
