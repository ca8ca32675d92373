//! Both encoders against PyTorch's output, and what must hold for any weights.
use candle_core::{DType, Device, Tensor, Var};
use drgan_tensor::testing::{Fill, Tol, assert_close, golden};
use drgan_tensor::{Ctx, FromConfig, ImageEncoder, Mode, ParamStore, Result, TextEncoder, TokenBatch};
use drgan_text::{
    Backbone, BackboneKind, BiLstmEncoder, DamsmImageEncoder, EfficientNetLite0, ImageEncoderConfig,
    TextEncoderConfig, Tokenize, Tokenizer, Vocabulary, WordRule, backbone_weights_from_bytes,
    load_backbone_weights,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// 1e-4 of the largest magnitude, which is what single precision gives after many layers.
fn close_to_max(what: &str, got: &Tensor, want: &Tensor) -> Result<()> {
    let max = f64::from(want.abs()?.max_all()?.to_scalar::<f32>()?);
    assert_close(what, got, want, Tol { rtol: 1e-4, atol: 1e-4 * max })
}

fn text() -> Result<(BiLstmEncoder, TokenBatch, HashMap<String, Tensor>)> {
    let g = golden(file("text_encoder.safetensors"))?;
    let cfg = TextEncoderConfig { vocab_size: 200, ..Default::default() };
    let enc = BiLstmEncoder::from_config(&cfg, Fill::new("seed-a", "text_encoder.").builder())?;
    let lens = g["lengths"].to_vec1::<i64>()?.iter().map(|n| *n as usize).collect();
    Ok((enc, TokenBatch { ids: g["captions"].to_dtype(DType::U32)?, lens }, g))
}

#[test]
fn text_encoder_agrees_with_pytorch() -> Result<()> {
    let (enc, tokens, g) = text()?;
    let out = enc.encode_text(&tokens, &mut Ctx::new(Mode::Eval, 0))?;
    close_to_max("words", &out.words, &g["words"])?;
    close_to_max("sentence", &out.sentence, &g["sentence"])?;
    let padded: Vec<u32> = out.mask.to_dtype(DType::U32)?.sum(1)?.to_vec1()?;
    assert_eq!(padded, tokens.lens.iter().map(|n| 18 - *n as u32).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn double_precision_agrees_with_single() -> Result<()> {
    let (single, tokens, _) = text()?;
    let cfg = TextEncoderConfig { vocab_size: 200, ..Default::default() };
    let vb = Fill::new("seed-a", "text_encoder.").builder().set_dtype(DType::F64);
    let double = BiLstmEncoder::from_config(&cfg, vb)?;
    // In training, so that dropout's mask is compared too.
    let run = |enc: &BiLstmEncoder| enc.encode_text(&tokens, &mut Ctx::new(Mode::Train, 3));
    let (single, double) = (run(&single)?, run(&double)?);
    assert_eq!((double.words.dtype(), double.sentence.dtype()), (DType::F64, DType::F64));
    close_to_max("words", &double.words.to_dtype(DType::F32)?, &single.words)?;
    close_to_max("sentence", &double.sentence.to_dtype(DType::F32)?, &single.sentence)
}

#[test]
fn a_configuration_builds_its_encoder_and_reads_its_tokenizer() -> Result<()> {
    let (enc, tokens, _) = text()?;
    let cfg = TextEncoderConfig { vocab_size: 200, ..Default::default() };
    let built = cfg.build(Fill::new("seed-a", "text_encoder.").builder())?;
    let mut ctx = Ctx::new(Mode::Eval, 0);
    let (one, other) = (enc.encode_text(&tokens, &mut ctx)?, built.encode_text(&tokens, &mut ctx)?);
    assert_close("words", &other.words, &one.words, Tol::EXACT)?;

    let tokenizer = Tokenizer::new(&Vocabulary::from_captions(["a red bird"], WordRule::default())?)?;
    let read = cfg.tokenizer(tokenizer.to_json()?.as_bytes())?;
    assert_eq!(read.vocab_size(), 4);
    assert_eq!(read.encode("A bird, blue", 9)?, tokenizer.encode("A bird, blue", 9)?);
    let e = cfg.tokenizer(b"{}").expect_err("not a tokenizer");
    assert!(e.to_string().contains("tokenizer") && std::error::Error::source(&e).is_some(), "{e}");
    Ok(())
}

#[test]
fn names_in_configurations_are_stable() {
    let json = |kind: BackboneKind| serde_json::to_value(kind).expect("a name");
    for kind in [BackboneKind::EfficientNetLite0, BackboneKind::InceptionV3] {
        assert_eq!(json(kind), kind.name());
    }
    assert_eq!(json(BackboneKind::default()), "efficientnet-lite0");
    // As configurations were written before there was a choice of text encoders.
    let old = r#"{"vocab_size": 9, "embedding": 3, "words_dim": 4, "dropout": 0.5}"#;
    let old: TextEncoderConfig = serde_json::from_str(old).expect("an old configuration");
    assert_eq!(old, TextEncoderConfig { vocab_size: 9, embedding: 3, words_dim: 4, ..Default::default() });
}

#[test]
fn a_captions_features_do_not_depend_on_its_batch() -> Result<()> {
    let (enc, tokens, _) = text()?;
    let mut ctx = Ctx::new(Mode::Eval, 0);
    let all = enc.encode_text(&tokens, &mut ctx)?;
    let tol = Tol { rtol: 1e-5, atol: 1e-6 };
    let order = [2usize, 0, 3, 1];
    let index = Tensor::new(&[2u32, 0, 3, 1], &Device::Cpu)?;
    let ids = tokens.ids.index_select(&index, 0)?;
    let other = TokenBatch { ids, lens: order.map(|i| tokens.lens[i]).to_vec() };
    let other = enc.encode_text(&other, &mut ctx)?;
    for (row, &i) in order.iter().enumerate() {
        let one = TokenBatch { ids: tokens.ids.narrow(0, i, 1)?, lens: vec![tokens.lens[i]] };
        let one = enc.encode_text(&one, &mut ctx)?;
        assert_close("alone", &one.words, &all.words.narrow(0, i, 1)?, tol)?;
        assert_close("alone", &one.sentence, &all.sentence.narrow(0, i, 1)?, tol)?;
        assert_close("order", &other.words.narrow(0, row, 1)?, &one.words, tol)?;
    }
    Ok(())
}

#[test]
fn dropout_is_for_training_and_seeded() -> Result<()> {
    let (enc, tokens, _) = text()?;
    let run = |mode, seed| {
        Ok::<_, drgan_tensor::Error>(enc.encode_text(&tokens, &mut Ctx::new(mode, seed))?.sentence)
    };
    assert_close("frozen", &run(Mode::Frozen, 1)?, &run(Mode::Eval, 2)?, Tol::EXACT)?;
    assert_close("seeded", &run(Mode::Train, 1)?, &run(Mode::Train, 1)?, Tol::EXACT)?;
    let moved = (run(Mode::Train, 1)? - run(Mode::Train, 2)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
    assert!(moved > 1e-3, "{moved}");
    Ok(())
}

#[test]
fn bad_tokens_and_configurations_are_named() -> Result<()> {
    let (enc, mut tokens, _) = text()?;
    tokens.ids = (tokens.ids * 10.)?;
    let e = enc.encode_text(&tokens, &mut Ctx::new(Mode::Eval, 0)).expect_err("ids past the vocabulary");
    assert!(e.to_string().contains("200 words"), "{e}");
    let vb = ParamStore::seeded(0).builder(DType::F32, &Device::Cpu);
    let cfg = TextEncoderConfig { words_dim: 7, ..Default::default() };
    let e = BiLstmEncoder::from_config(&cfg, vb).expect_err("odd width");
    assert!(e.to_string().contains("text.words_dim"), "{e}");
    Ok(())
}

#[test]
fn inception_agrees_with_pytorch() -> Result<()> {
    let g = golden(file("image_encoder.safetensors"))?;
    let vb = Fill::new("seed-a", "image_encoder.").builder();
    let cfg = ImageEncoderConfig { backbone: BackboneKind::InceptionV3, ..Default::default() };
    let out = DamsmImageEncoder::from_config(&cfg, 256, vb.clone(), vb)?.encode_image(&g["image"])?;
    close_to_max("regions", &out.regions, &g["regions"])?;
    close_to_max("code", &out.code, &g["code"])
}

/// The folder of large reference files beside the repository, where there is one.
fn shared() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join("shared"));
    found.into_iter().find(|p| p.join("weights/efficientnet_lite0_imagenet.safetensors").exists())
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
fn efficientnet_agrees_with_its_trained_weights() -> Result<()> {
    let Some(shared) = shared() else {
        eprintln!("skipped: no shared/weights/efficientnet_lite0_imagenet.safetensors beside the repository");
        return Ok(());
    };
    let g = golden("tests/golden/efficientnet_lite0.safetensors")?;
    let vb = load_backbone_weights(
        shared.join("weights/efficientnet_lite0_imagenet.safetensors"),
        DType::F32,
        &Device::Cpu,
    )?;
    let images = g["image_u8_hwc"].to_dtype(DType::F32)?.affine(1. / 127.5, -1.)?;
    let images = images.permute((0, 3, 1, 2))?.contiguous()?;
    let out = EfficientNetLite0::new(Some(224), vb.clone())?.features(&images)?;
    assert_eq!(out.map.dims(), [3, 112, 14, 14]);
    close_to_max("features", &out.pooled, &g["features"])?;
    let logits = out.pooled.matmul(&vb.get((1000, 1280), "_fc.weight")?.t()?)?;
    let logits = logits.broadcast_add(&vb.get(1000, "_fc.bias")?)?;
    close_to_max("probabilities", &candle_nn::ops::softmax(&logits, 1)?, &g["probabilities"])
}

#[test]
fn gradients_reach_the_image() -> Result<()> {
    let store = ParamStore::seeded(4);
    let fill = Fill::new("gradient", "").builder().to_dtype(DType::F64);
    let cfg = ImageEncoderConfig { side: 16, ..Default::default() };
    let enc = DamsmImageEncoder::from_config(&cfg, 4, fill, store.builder(DType::F64, &Device::Cpu))?;
    let image = Ctx::new(Mode::Eval, 1)
        .randn((1, 3, 17, 19), DType::F32, &Device::Cpu)?
        .to_dtype(DType::F64)?
        .tanh()?;
    let loss = |x: &Tensor| -> Result<Tensor> {
        let out = enc.encode_image(x)?;
        Ok((out.regions.sqr()?.sum_all()? + out.code.sum_all()?)?)
    };
    let var = Var::from_tensor(&image)?;
    let grads = loss(&var)?.backward()?;
    let analytic = grads.get(&var).expect("a gradient").flatten_all()?.to_vec1::<f64>()?;
    let base = image.flatten_all()?.to_vec1::<f64>()?;
    for i in [0, 400, 700, base.len() - 1] {
        let at = |d: f64| -> Result<f64> {
            let mut v = base.clone();
            v[i] += d;
            Ok(loss(&Tensor::from_vec(v, image.shape(), &Device::Cpu)?)?.to_scalar::<f64>()?)
        };
        let numeric = (at(1e-6)? - at(-1e-6)?) / 2e-6;
        assert!(
            (numeric - analytic[i]).abs() <= 1e-5 + 1e-4 * numeric.abs(),
            "{i}: {} {numeric}",
            analytic[i]
        );
    }
    assert!(analytic.iter().any(|g| g.abs() > 1e-4), "the check sees a gradient");
    Ok(())
}

#[test]
fn half_precision_weights_load_as_single() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("w.safetensors");
    let w = Tensor::new(&[0.5f32, -2.], &Device::Cpu)?;
    let count = Tensor::new(&[1i64], &Device::Cpu)?;
    let tensors = HashMap::from([("a.weight".to_owned(), w.to_dtype(DType::F16)?), ("n".to_owned(), count)]);
    candle_core::safetensors::save(&tensors, &path)?;
    let bytes = std::fs::read(&path).expect("the file");
    for vb in [
        load_backbone_weights(&path, DType::F32, &Device::Cpu)?,
        backbone_weights_from_bytes(&bytes, DType::F32, &Device::Cpu)?,
    ] {
        assert_close("a.weight", &vb.get(2, "a.weight")?, &w, Tol::EXACT)?;
        assert!(!vb.contains_tensor("n"));
    }
    let missing =
        load_backbone_weights(dir.path().join("none"), DType::F32, &Device::Cpu).err().expect("no such file");
    assert!(missing.to_string().contains("none"), "{missing}");
    Ok(())
}
