//! A model as state dicts for PyTorch: docs/pytorch/drgan.py reads them.
use crate::Model;
use drgan_tensor::weights::{Tensors, torch};
use drgan_tensor::{Error, Result, file};
use std::path::Path;

/// Writes `generator.pth` (names of the released code), `text_encoder.pth` (names of AttnGAN), `config.json` and `tokenizer.json` into
/// a folder, which is made where there is none.
///
/// # Errors
/// [`Error::File`]: what the file system reports.
pub fn save(model: &Model, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::file_because(folder, "cannot be made", e))?;
    let config = serde_json::to_string_pretty(model.config()).map_err(candle_core::Error::wrap)?;
    let tensors: [(&str, Tensors); 2] = [
        ("generator.pth", model.generator().views()),
        ("text_encoder.pth", model.captions().weights().views()),
    ];
    for (name, tensors) in &tensors {
        file::write_atomic(&folder.join(name), &torch::to_bytes(tensors)?)?;
    }
    file::write_atomic(&folder.join("config.json"), config.as_bytes())?;
    file::write_atomic(&folder.join("tokenizer.json"), model.captions().tokenizer().to_json()?.as_bytes())
}
