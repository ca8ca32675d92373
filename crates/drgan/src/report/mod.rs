//! Results as text for people.
pub(crate) mod card;
pub(crate) mod text;
pub(crate) mod verification;
pub(crate) mod weights;
