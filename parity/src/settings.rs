//! `golden.json`: the settings that a folder of golden files was made with.
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Settings of a folder of golden files, its `golden.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    /// Salt of the rule that fills the weights.
    pub salt: String,
    /// Number of residual blocks R of the generator, where neither a file's metadata nor a list of its shapes says it.
    pub residual_blocks: Option<usize>,
    /// Factor on the released masks' logits; if it is not given, the authors' 1 / B with the case's batch size B.
    pub mask_logit_scale: Option<f64>,
    /// Number of words in the text encoder's vocabulary.
    #[serde(default = "vocabulary")]
    pub text_vocabulary: usize,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
    /// Remarks on settings that are not known.
    #[serde(skip)]
    pub notes: Vec<String>,
}

fn vocabulary() -> usize {
    200
}

impl Settings {
    /// Reads `golden.json`.
    ///
    /// # Errors
    /// No such file, or contents of another form.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{}: a golden folder needs it, e.g. {{\"salt\": \"seed-a\"}}", path.display())
        })?;
        let mut settings: Self = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        settings.notes =
            settings.rest.keys().map(|k| format!("golden.json: unknown setting `{k}`")).collect();
        Ok(settings)
    }
}
