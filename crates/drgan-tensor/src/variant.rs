//! Which of the two published models a network follows: the paper's formulas or the authors' code.
use serde::{Deserialize, Serialize};

/// Which of two variants of the model a network follows: the paper's formulas, or what the authors' code builds.
///
/// One code path serves both; the parts are configured differently. docs/divergences.md lists every difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// The paper's formulas. Written `"paper"`.
    #[default]
    Paper,
    /// What loads the authors' state dicts and gives the same images. Written `"released"`.
    Released,
}
