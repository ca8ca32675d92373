//! The released discriminators, in training.
use super::{Place, outputs};
use crate::{Golden, Row};
use anyhow::{Context, Result};
use candle_core::DType;
use candle_nn::ops::sigmoid;
use drgan_dnm::{DiscriminatorConfig, LatentNoise, StageDiscriminator};
use drgan_tensor::{Ctx, Discriminator, FromConfig, Mode, ParamStore, Variant};
use std::collections::BTreeMap;

/// The side of `discriminatorSIDE.safetensors`.
pub(super) fn side(name: &str) -> Option<usize> {
    name.strip_prefix("discriminator")?.strip_suffix(".safetensors")?.parse().ok()
}

/// The released form in training: batch statistics, one power iteration, given noise.
pub(super) fn discriminator(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let (images, sentence) = (g.get("image")?, g.get("sentence")?);
    let noise = LatentNoise { image: Some(g.get("eps_image")?), text: Some(g.get("eps_text")?) };
    let default = DiscriminatorConfig::default();
    let cfg = DiscriminatorConfig {
        form: Variant::Released,
        side: images.dim(3)?,
        ndf: g.find("features").map_or(Ok(default.features()), |f| f.dim(1))? / 8,
        text_dim: sentence.dim(1)?,
        latent: g.get("eps_image")?.dim(1)?,
        ..default
    };
    // A power iteration needs variables: the store is given the rule's values.
    let store = ParamStore::seeded(0);
    let net = StageDiscriminator::from_config(&cfg, store.builder(DType::F32, g.device()))?;
    let fallback = format!("discriminator{}.", side(place.name).context("no side in the name")?);
    let fill = g.fill(&place.settings.salt, &fallback);
    let mut values = BTreeMap::new();
    for (name, _, var) in store.all() {
        let filled =
            candle_core::Tensor::from_vec(fill.values(&name, var.dims()), var.shape(), var.device())?;
        values.insert(name, filled);
    }
    store.assign(&values)?;

    let mut ctx = Ctx::new(Mode::Train, 0);
    let seen = net.encode(images, &ctx)?;
    let uncond = sigmoid(&net.unconditional_logits(&seen.features)?)?;
    let cond = sigmoid(&net.match_sentence(&seen.features, sentence, &mut ctx)?)?;
    let (latent, image) = net.reconstruct(&seen, sentence, noise, &ctx)?;
    outputs(
        g,
        &[
            ("features", &seen.features),
            ("uncond_prob", &uncond),
            ("cond_prob", &cond),
            ("mu", &latent.mu),
            ("logvar", &latent.logvar),
            ("recon", &image),
        ],
    )
}
