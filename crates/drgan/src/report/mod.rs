//! Results as text for people.
pub(crate) mod text;
pub(crate) mod weights;
