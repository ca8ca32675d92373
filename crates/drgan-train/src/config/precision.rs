//! Precisions in TOML, by their names.
use drgan_tensor::ops::Precision;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(precision: &Precision, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(precision)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Precision, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}
