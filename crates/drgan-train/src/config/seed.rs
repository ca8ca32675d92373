//! Seeds in TOML, whose whole numbers end at 2^63 - 1: a larger seed is written as a text of its digits, and read from one.
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Value;

/// The setting that is a seed.
pub(super) const KEY: &str = "seed";

/// A seed as a value of TOML.
pub(super) fn value(seed: u64) -> Value {
    i64::try_from(seed).map_or_else(|_| Value::String(seed.to_string()), Value::Integer)
}

/// The whole number of 0 or more that a value is, by itself or as the text of its digits.
pub(super) fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(i) => u64::try_from(*i).ok(),
        Value::String(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

pub(super) fn serialize<S: Serializer>(seed: &u64, to: S) -> Result<S::Ok, S::Error> {
    value(*seed).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(from)?;
    whole(&value).ok_or_else(|| {
        D::Error::custom(format!("`{KEY}` is {value}, not a whole number of at most {}", u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_whole_numbers_or_their_digits() {
        for seed in [0, 1 << 53, i64::MAX as u64, 1 << 63, u64::MAX] {
            assert_eq!(whole(&value(seed)), Some(seed));
        }
        assert_eq!(whole(&Value::String("007".to_owned())), Some(7));
        for text in ["", "+1", "-1", "1_000", "0x10", " 1", "18446744073709551616", "one"] {
            assert_eq!(whole(&Value::String(text.to_owned())), None, "{text}");
        }
        assert_eq!(whole(&Value::Integer(-1)), None);
    }
}
