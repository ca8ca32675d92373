//! PyTorch checkpoints: their values follow the fill rule, or belong to a golden file.
use super::{Place, text};
use crate::{Golden, Outcome, Row, relative_error};
use anyhow::{Context, Result};
use candle_core::Tensor;
use drgan_sdm::{GeneratorConfig, RefineStage};
use drgan_tensor::testing::Fill;
use drgan_tensor::weights::{Tensors, torch};
use drgan_tensor::{Variant, parameter_shapes};

/// `stage2.legacy.pth`: the state of the generator's second stage.
pub(super) fn stage(place: &Place<'_>) -> Result<Vec<Row>> {
    let tensors = torch::load(&place.path(), place.device)?;
    let weight = tensors.get("att.conv_context.weight").context("no tensor `att.conv_context.weight`")?;
    let blocks = (0..).take_while(|i| tensors.contains_key(&format!("residual.{i}.block.0.weight")));
    let cfg = GeneratorConfig {
        form: Variant::Released,
        ngf: weight.dim(0)?,
        text_dim: weight.dim(1)?,
        residual_blocks: blocks.count().max(1),
        ..GeneratorConfig::default()
    };
    let asked = parameter_shapes(|vb| RefineStage::new(&cfg, vb))?;
    let wrong = asked.iter().filter(|(n, s)| tensors.get(*n).map(Tensor::dims) != Some(s)).count();
    let mut rows = vec![match wrong {
        0 => Row::new(&format!("{} used", asked.len()), Outcome::Present),
        _ => {
            Row::failed(&format!("{} used", asked.len()), format!("{wrong} are missing or of another shape"))
        }
    }];
    rows.push(values(&tensors, &Fill::new(&place.settings.salt, "generator.h_net2."))?);
    Ok(rows)
}

/// `text_encoder.*.pth`: the weights of `text_encoder.safetensors`, which is computed from them.
pub(super) fn text_encoder(place: &Place<'_>) -> Result<Vec<Row>> {
    let path = place.path();
    let mut rows =
        vec![values(&torch::load(&path, place.device)?, &Fill::new(&place.settings.salt, "text_encoder."))?];
    let golden = place.dir.join("text_encoder.safetensors");
    if golden.is_file() {
        rows.extend(text::encode(&Golden::open(&golden, place.device)?, &path)?);
    }
    Ok(rows)
}

/// Largest relative error of a value by the fill rule: its last step, from double to single precision, may round differently
/// elsewhere.
const ROUNDING: f64 = 1e-6;

/// One row: every value follows the fill rule.
fn values(tensors: &Tensors, fill: &Fill) -> Result<Row> {
    let mut largest = 0f64;
    let mut count = 0;
    for (name, got) in tensors.iter().filter(|(_, t)| t.dtype().is_float()) {
        let want = Tensor::from_vec(fill.values(name, got.dims()), got.shape(), got.device())?;
        largest = largest.max(relative_error(got, &want).with_context(|| name.clone())?);
        count += 1;
    }
    let outcome = Outcome::Compared { error: largest, tolerance: ROUNDING };
    Ok(Row::new(&format!("{count} by the rule"), outcome))
}
