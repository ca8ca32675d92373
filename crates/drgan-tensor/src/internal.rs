//! What the other crates of this workspace share and nobody else should build on: it may change in any release.
#![doc(hidden)]
pub use crate::params::seed::fnv1a;
pub use crate::text::{Count, agreeing, counted, escaped, shown};
pub use crate::weights::pickle::Plain;
pub use crate::weights::unrepeated::repeated_key;
