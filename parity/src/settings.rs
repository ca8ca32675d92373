use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// `golden.json`: what the files were made with.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    /// Salt of the weights.
    pub salt: String,
    /// R of the generator, where neither a file's metadata nor a list of its shapes says it.
    pub residual_blocks: Option<usize>,
    /// What the released masks' logits are multiplied by; the authors' 1 / B of the case's batch if it is not given.
    pub mask_logit_scale: Option<f64>,
    /// Words of the text encoder's vocabulary.
    #[serde(default = "vocabulary")]
    pub text_vocabulary: usize,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
    /// What the reader did not understand.
    #[serde(skip)]
    pub notes: Vec<String>,
}

fn vocabulary() -> usize {
    200
}

impl Settings {
    /// # Errors
    /// No such file, or not its form.
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
