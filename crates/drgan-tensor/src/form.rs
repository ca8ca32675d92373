use serde::{Deserialize, Serialize};

/// Which of two forms a network's parts take: the paper's formulas, or what the authors' code builds.
///
/// One code path serves both; parts are configured differently (docs/divergences.md says how and why).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The paper's formulas.
    #[default]
    Paper,
    /// What loads the authors' state dicts and gives the same pictures.
    Released,
}
