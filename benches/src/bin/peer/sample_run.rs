//! A full-size run to sample from, never trained.
use anyhow::Result;
use candle_core::{Device, Tensor};
use drgan_benches::{SALT, fill};
use drgan_tensor::testing::Fill;
use drgan_tensor::{parameter_shapes, weights};
use drgan_text::{InceptionV3, Tokenizer, Vocabulary, WordRule};
use drgan_train::config::{Overrides, RunConfig};
use drgan_train::damsm::Encoders;
use drgan_train::gan::Networks;
use drgan_train::run::RunDir;
use drgan_train::session::Phase;
use std::path::Path;

/// Writes a `birds` run at step 1 into `dir`: everything that a trained one holds, its backbone included.
pub(crate) fn write(dir: &Path) -> Result<()> {
    let backbone = dir.with_extension("backbone.safetensors");
    std::fs::create_dir_all(dir)?;
    let rule = Fill::new(SALT, "backbone.");
    let tensors: weights::Tensors = parameter_shapes(InceptionV3::new)?
        .into_iter()
        .map(|(name, dims)| {
            let tensor = Tensor::from_vec(rule.values(&name, &dims), dims, &Device::Cpu)?;
            Ok((name, tensor))
        })
        .collect::<Result<_>>()?;
    weights::safetensors::save(&backbone, &tensors, &weights::Metadata::new())?;

    let set = [format!("image_encoder.weights={}", backbone.display())];
    let cfg = RunConfig::resolve("birds", &Overrides { file: None, set: &set })?;
    let run = RunDir::create(Some(dir), &cfg.preset, cfg.seed)?;
    let tokenizer = Tokenizer::new(&Vocabulary::from_captions(["a red heart"], WordRule::default())?)?;
    let encoders = Encoders::new(&cfg, Box::new(tokenizer), &Device::Cpu)?;
    encoders.keep(&cfg, &run)?;
    let networks = Networks::new(&cfg, &Device::Cpu)?;
    fill(networks.ema.average(), "generator.")?;
    run.save(&Phase::Gan.checkpoint(&cfg, 1, encoders.captions.device(), &[&encoders, &networks])?, 1)?;
    std::fs::write(run.config(), cfg.to_toml()?)?; // last: a run without it is none
    std::fs::remove_file(&backbone)?;
    Ok(())
}
