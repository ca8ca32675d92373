//! Results as text for people.
pub(crate) mod text;
pub(crate) mod verification;
pub(crate) mod weights;
