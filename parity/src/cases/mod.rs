//! The cases: which module each golden file is compared with, by file name.
mod checkpoints;
mod discriminator;
mod generator;
mod losses;
mod metrics;
mod names;
mod text;

use crate::{Golden, OUTPUT, Row, Settings};
use anyhow::Result;
use candle_core::Device;
use std::path::{Path, PathBuf};

/// Where a case finds its files.
pub(crate) struct Place<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) settings: &'a Settings,
    /// A folder searched for trained weights.
    pub(crate) weights: &'a Path,
    /// Where the modules compute.
    pub(crate) device: &'a Device,
}

impl Place<'_> {
    fn path(&self) -> PathBuf {
        self.dir.join(self.name)
    }

    /// The file `name` of trained weights: beside the golden file or in one of the folders where such files are kept.
    fn trained(&self, name: &str) -> Option<PathBuf> {
        let folders = [self.dir.to_owned(), self.weights.join("weights"), self.weights.join("data/fashion")];
        folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    }
}

pub(crate) type Case = fn(&Place<'_>) -> Result<Vec<Row>>;

/// Files that belong to other files and are not cases of their own.
pub(crate) const COMPANIONS: [&str; 2] = ["golden.json", "metrics.json"];

/// The case of a file, if its name is known.
pub(crate) fn of(name: &str) -> Option<Case> {
    if let Some(list) = name.strip_suffix(".shapes.json") {
        return names::is_known(list).then_some(names::shapes_json as Case);
    }
    if let Some(list) = name.strip_prefix("keys_") {
        return (list.starts_with("net") && list.ends_with(".txt")).then_some(names::keys_txt as Case);
    }
    Some(match name {
        "adversarial.safetensors" => |p| golden(p, losses::adversarial),
        "sdl.safetensors" => |p| golden(p, losses::sdl),
        "dnm.safetensors" => |p| golden(p, losses::dnm),
        "dal.safetensors" => |p| golden(p, losses::dal),
        "damsm_loss_masked.safetensors" => |p| golden(p, |_, g| losses::damsm(g, true)),
        "damsm_loss_unmasked.safetensors" => |p| golden(p, |_, g| losses::damsm(g, false)),
        "word_attention.safetensors" => |p| golden(p, generator::word_attention),
        "generator.safetensors" => |p| golden(p, generator::generator),
        "real_image_path.safetensors" => |p| golden(p, generator::real_image_path),
        "text_encoder.safetensors" => |p| golden(p, text::text_encoder),
        "fashion_text_encoder.safetensors" => |p| golden(p, text::fashion),
        "image_encoder.safetensors" => |p| golden(p, text::image_encoder),
        "efficientnet_lite0.safetensors" => |p| golden(p, text::efficientnet),
        "metrics.safetensors" => |p| golden(p, metrics::metrics),
        "stage2.legacy.pth" => checkpoints::stage,
        "text_encoder.legacy.pth" | "text_encoder.zip.pth" => checkpoints::text_encoder,
        _ if discriminator::side(name).is_some() => |p| golden(p, discriminator::discriminator),
        _ => return None,
    })
}

/// Runs a case over one file and adds a failed row for each tensor that it overlooked.
fn golden(place: &Place<'_>, run: impl Fn(&Place<'_>, &Golden) -> Result<Vec<Row>>) -> Result<Vec<Row>> {
    let file = Golden::open(&place.path(), place.device)?;
    let mut rows = run(place, &file)?;
    if !rows.iter().any(|r| matches!(r.outcome, crate::Outcome::Skipped(_))) {
        rows.extend(file.overlooked());
    }
    Ok(rows)
}

/// Rows that compare outputs.
fn outputs(file: &Golden, got: &[(&str, &candle_core::Tensor)]) -> Result<Vec<Row>> {
    file.compare(got, OUTPUT)
}
