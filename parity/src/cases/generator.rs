//! The released generator, its word attention and its real image path.
use super::{Place, outputs};
use crate::{Golden, Row};
use anyhow::{Context, Result};
use candle_core::Tensor;
use drgan_sdm::{
    GeneratorConfig, GeneratorNoise, ImageHead, RealImageConfig, RealImagePath, StageGenerator, WordAttention,
};
use drgan_tensor::{Ctx, FromConfig, Mode, TextFeatures, Variant};

pub(super) fn word_attention(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let (h, words) = (g.get("h")?, g.get("words")?);
    let vb = g.weights(&place.settings.salt, "attention.");
    let attention = WordAttention::new(words.dim(1)?, h.dim(1)?, vb)?;
    let (context, theta) = attention.attend(h, words, &g.mask(words)?)?;
    outputs(g, &[("context", &context), ("attention", &theta)])
}

/// The configuration told by the list of shapes beside the golden file, if there is one.
fn listed(place: &Place<'_>) -> Result<Option<GeneratorConfig>> {
    let path = place.dir.join("generator.shapes.json");
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(GeneratorConfig::from_shapes(&super::names::read_json(&path)?)?))
}

/// The released form in evaluation. Sizes follow from the list of shapes, if there is one, and the file's inputs.
pub(super) fn generator(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let (z, eps) = (g.get("z")?, g.get("eps_ca")?);
    let (words, sentence) = (g.get("words")?, g.get("sentence")?);
    let mask = g.mask(words)?;
    let listed = listed(place)?.unwrap_or_default();
    let blocks = g.number("residual_blocks")?.or(place.settings.residual_blocks);
    let batch = g.number("batch")?.unwrap_or(z.dim(0)?);
    let cfg = GeneratorConfig {
        form: Variant::Released,
        nz: z.dim(1)?,
        nc: eps.dim(1)?,
        text_dim: sentence.dim(1)?,
        residual_blocks: blocks.unwrap_or(listed.residual_blocks),
        mask_logit_scale: place.settings.mask_logit_scale.unwrap_or(1. / batch as f64),
        ..listed
    };
    let vb = g.weights(&place.settings.salt, "generator.");
    let padding: Vec<Vec<u8>> = mask.to_vec2()?;
    let lens = padding.iter().map(|row| row.iter().filter(|p| **p == 0).count()).collect();
    let text = TextFeatures { words: words.clone(), sentence: sentence.clone(), mask, lens };
    let ctx = Ctx::new(Mode::Eval, 0);
    let noise = GeneratorNoise::new(z).with_condition(eps);
    let out = StageGenerator::from_config(&cfg, vb)?.generate_with(noise, &text, &ctx)?;
    let mut got: Vec<(String, &Tensor)> =
        vec![("mu".into(), &out.condition.mu), ("logvar".into(), &out.condition.logvar)];
    for (i, stage) in out.stages.iter().enumerate() {
        got.push((format!("fake{}", cfg.side(i)), &stage.image));
        if let Some(attention) = &stage.attention {
            got.push((format!("attention{}", cfg.side(i - 1)), attention));
        }
    }
    // The authors' generator asks for real images; its outputs do not depend on them.
    for i in 0..cfg.stages {
        g.find(&format!("real{}", cfg.side(i)));
    }
    outputs(g, &got.iter().map(|(name, t)| (name.as_str(), *t)).collect::<Vec<_>>())
}

/// H* of each size, and what the image head of that size makes of it.
pub(super) fn real_image_path(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let base = listed(place)?.unwrap_or_default();
    let ngf = g.find(&format!("feature{}", base.base)).map_or(Ok(base.ngf), |f| f.dim(1))?;
    let cfg = RealImageConfig { form: Variant::Released, ngf, ..base.real_image() };
    let vb = g.weights(&place.settings.salt, "generator.");
    let path = RealImagePath::from_config(&cfg, vb.clone())?;
    let ctx = Ctx::new(Mode::Eval, 0);
    let mut rows = Vec::new();
    for stage in 1..cfg.stages {
        let side = cfg.base << (stage - 1);
        let Some(real) = g.find(&format!("real{side}")) else { continue };
        let feature = path.encode(stage, real, &ctx)?;
        let head = ImageHead::new(ngf, Variant::Released, vb.pp(format!("img_net{stage}")))?;
        let image = head.forward(&feature, &ctx)?;
        let got = [(format!("feature{side}"), feature), (format!("recon{side}"), image)];
        rows.extend(outputs(g, &got.each_ref().map(|(name, t)| (name.as_str(), t)))?);
    }
    (!rows.is_empty()).then_some(rows).context("the file has no real image")
}
