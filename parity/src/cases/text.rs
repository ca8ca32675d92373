//! Encoders: text by its golden file or a checkpoint, images by Inception-v3 and EfficientNet-Lite0.
use super::{Place, outputs};
use crate::{Golden, Row};
use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use drgan_tensor::weights::torch;
use drgan_tensor::{Ctx, FromConfig, ImageEncoder, Mode, TextEncoder, TokenBatch, VarBuilder, builder_over};
use drgan_text::{
    Backbone, BackboneKind, BiLstmEncoder, DamsmImageEncoder, EfficientNetLite0, ImageEncoderConfig,
    TextEncoderConfig, load_backbone_weights,
};
use std::path::Path;

/// Words and sentence of the file's captions by an encoder with the weights of `vb`.
fn compare(g: &Golden, cfg: &TextEncoderConfig, vb: VarBuilder<'_>) -> Result<Vec<Row>> {
    let lens = g.integers("lengths")?.into_iter().map(usize::try_from).collect::<Result<_, _>>()?;
    let tokens = TokenBatch { ids: g.get("captions")?.to_dtype(DType::U32)?, lens };
    let out = BiLstmEncoder::from_config(cfg, vb)?.encode_text(&tokens, &mut Ctx::new(Mode::Eval, 0))?;
    // AttnGAN's word features end with the longest caption, those of this workspace with the padding.
    let longest = tokens.lens.iter().max().copied().unwrap_or(0);
    let words = match g.get("words")?.dim(2)? {
        shorter if shorter == longest => out.words.narrow(2, 0, longest)?,
        _ => out.words,
    };
    outputs(g, &[("words", &words), ("sentence", &out.sentence)])
}

/// The golden file's captions by the encoder of a checkpoint, whose tensors tell its sizes.
pub(super) fn encode(g: &Golden, checkpoint: &Path) -> Result<Vec<Row>> {
    let tensors = torch::load(checkpoint, g.device())?;
    let embedding = tensors.get("encoder.weight").context("no tensor `encoder.weight`")?;
    let recurrent = tensors.get("rnn.weight_hh_l0").context("no tensor `rnn.weight_hh_l0`")?;
    let cfg = TextEncoderConfig {
        vocab_size: embedding.dim(0)?,
        embedding: embedding.dim(1)?,
        words_dim: 2 * recurrent.dim(1)?,
        ..Default::default()
    };
    compare(g, &cfg, builder_over(tensors, DType::F32, g.device()))
}

/// The width of the file's sentences.
fn words_dim(g: &Golden) -> Result<usize> {
    Ok(g.get("sentence")?.dim(1)?)
}

pub(super) fn text_encoder(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let vocab_size = g.number("vocab")?.unwrap_or(place.settings.text_vocabulary);
    let mut cfg = TextEncoderConfig { vocab_size, words_dim: words_dim(g)?, ..Default::default() };
    // The embedding's width is in no output: a checkpoint of the same weights tells it.
    for checkpoint in ["text_encoder.zip.pth", "text_encoder.legacy.pth"].map(|name| place.dir.join(name)) {
        if g.number::<usize>("embedding")?.is_none() && checkpoint.is_file() {
            let tensors = torch::load(&checkpoint, g.device())?;
            cfg.embedding = tensors.get("encoder.weight").map_or(Ok(cfg.embedding), |t| t.dim(1))?;
        }
    }
    cfg.embedding = g.number("embedding")?.unwrap_or(cfg.embedding);
    compare(g, &cfg, g.weights(&place.settings.salt, "text_encoder."))
}

/// Trained weights of the fashion encoder, in PyTorch's legacy format.
const FASHION: &str = "fashion_attngan_text_encoder200.pth";

pub(super) fn fashion(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    match place.trained(FASHION) {
        Some(path) => encode(g, &path),
        None => Ok(vec![Row::skipped("", format!("its trained weights {FASHION} are not here (--weights)"))]),
    }
}

pub(super) fn image_encoder(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let vb = g.weights(&place.settings.salt, "image_encoder.");
    let words_dim = g.get("code")?.dim(1)?;
    let cfg = ImageEncoderConfig { backbone: BackboneKind::InceptionV3, ..Default::default() };
    let out =
        DamsmImageEncoder::from_config(&cfg, words_dim, vb.clone(), vb)?.encode_image(g.get("image")?)?;
    outputs(g, &[("regions", &out.regions), ("code", &out.code)])
}

/// Trained weights of EfficientNet-Lite0.
const EFFICIENTNET: &str = "efficientnet_lite0_imagenet.safetensors";

pub(super) fn efficientnet(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let Some(path) = place.trained(EFFICIENTNET) else {
        return Ok(vec![Row::skipped(
            "",
            format!("its trained weights {EFFICIENTNET} are not here (--weights)"),
        )]);
    };
    let vb = load_backbone_weights(path, DType::F32, g.device())?;
    let images = g.get("image_u8_hwc")?;
    // (x - 127) / 128 of the levels x is taken by the network; it is given [-1, 1].
    let levels = images.to_dtype(DType::F32)?.permute((0, 3, 1, 2))?.contiguous()?;
    let out = EfficientNetLite0::new(Some(images.dim(1)?), vb.clone())?
        .features(&levels.affine(1. / 127.5, -1.)?)?;
    let (classes, width) = g.get("probabilities")?.dims2().map(|(_, n)| (n, out.pooled.dims()[1]))?;
    let logits = out.pooled.matmul(&vb.get((classes, width), "_fc.weight")?.t()?)?;
    let logits: Tensor = logits.broadcast_add(&vb.get(classes, "_fc.bias")?)?;
    let probabilities = candle_nn::ops::softmax(&logits, 1)?;
    outputs(g, &[("features", &out.pooled), ("probabilities", &probabilities)])
}
