//! The whole generator and the real image path: shapes, independence of the batch, names, gradients, errors.
mod common;

use candle_core::{DType, Tensor, Var};
use common::{CPU, captions};
use drgan_sdm::{
    ConditionInit, GeneratorConfig, GeneratorNoise, RealImagePath, StageGenerator, init_condition,
};
use drgan_tensor::ops::Precision;
use drgan_tensor::testing::{Tol, assert_close, assert_grad};
use drgan_tensor::{
    Ctx, FromConfig, Generator, Mode, ParamKind, ParamStore, Result, TextFeatures, Variant, init,
};

fn config(base: usize, stages: usize) -> GeneratorConfig {
    GeneratorConfig {
        base,
        stages,
        ngf: 4,
        text_dim: 6,
        nz: 3,
        nc: 5,
        residual_blocks: 1,
        ..Default::default()
    }
}

fn build(cfg: &GeneratorConfig, dtype: DType) -> Result<(ParamStore, StageGenerator)> {
    let store = ParamStore::seeded(1);
    let generator = StageGenerator::from_config(cfg, store.builder(dtype, &CPU))?;
    init::gan(&store)?;
    init_condition(&store, cfg)?;
    Ok((store, generator))
}

/// The captions at `rows`, in that order.
fn pick(text: &TextFeatures, rows: &[u32]) -> Result<TextFeatures> {
    let ix = Tensor::new(rows, &CPU)?;
    Ok(TextFeatures {
        words: text.words.index_select(&ix, 0)?,
        sentence: text.sentence.index_select(&ix, 0)?,
        mask: text.mask.index_select(&ix, 0)?,
        lens: rows.iter().map(|r| text.lens[*r as usize]).collect(),
    })
}

/// A generator after a training pass has moved the running statistics off their start.
fn trained(cfg: &GeneratorConfig) -> Result<StageGenerator> {
    let (_, generator) = build(cfg, DType::F32)?;
    let mut ctx = Ctx::new(Mode::Train, 4);
    let z = ctx.randn((3, cfg.nz), DType::F32, &CPU)?;
    generator.generate(&z, &captions(&[2, 4, 3], 4, cfg.text_dim, DType::F32)?, &mut ctx)?;
    Ok(generator)
}

#[test]
fn shapes_follow_the_base_side() -> Result<()> {
    for (base, stages) in [(16, 3), (32, 2), (64, 1)] {
        let cfg = config(base, stages);
        let (_, generator) = build(&cfg, DType::F32)?;
        let mut ctx = Ctx::new(Mode::Train, 0);
        let z = ctx.randn((2, cfg.nz), DType::F32, &CPU)?;
        let text = captions(&[2, 3], 3, cfg.text_dim, DType::F32)?;
        let out = generator.generate(&z, &text, &mut ctx)?;
        assert_eq!((out.condition.mu.dims(), out.condition.logvar.dims()), (&[2, 5][..], &[2, 5][..]));
        assert_eq!(out.stages.len(), stages);
        for (i, stage) in out.stages.iter().enumerate() {
            let side = base << i;
            assert_eq!(stage.image.dims(), [2, 3, side, side]);
            let peak = stage.image.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            assert!(peak > 0. && peak <= 1., "stage {i}: {peak}");
            assert_eq!((stage.attention.is_some(), stage.disentangled.is_some()), (i > 0, i > 0));
            if let (Some(attention), Some(d)) = (&stage.attention, &stage.disentangled) {
                assert_eq!(attention.dims(), [2, 3, side / 2, side / 2]);
                for part in [&d.image, &d.context] {
                    for map in [part.key.clone(), part.non_key()?, part.mask()?] {
                        assert_eq!(map.dims(), [2, cfg.ngf, side / 2, side / 2]);
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn an_image_does_not_depend_on_its_neighbors() -> Result<()> {
    let cfg = config(16, 3);
    let generator = trained(&cfg)?;
    let text = captions(&[2, 4, 1], 4, cfg.text_dim, DType::F32)?;
    let mut ctx = Ctx::new(Mode::Eval, 9);
    let (z, eps) = (ctx.randn((3, cfg.nz), DType::F32, &CPU)?, ctx.randn((3, cfg.nc), DType::F32, &CPU)?);
    let tol = Tol { rtol: 1e-5, atol: 1e-5 };
    for eps in [Some(&eps), None] {
        let whole = generator.generate_with(GeneratorNoise { z: &z, condition: eps }, &text, &ctx)?;
        for rows in [&[0u32][..], &[2], &[2, 0, 1], &[1, 1]] {
            let ix = Tensor::new(rows, &CPU)?;
            let eps = eps.map(|e| e.index_select(&ix, 0)).transpose()?;
            let part = generator.generate_with(
                GeneratorNoise { z: &z.index_select(&ix, 0)?, condition: eps.as_ref() },
                &pick(&text, rows)?,
                &ctx,
            )?;
            for (i, (a, b)) in part.stages.iter().zip(&whole.stages).enumerate() {
                assert_close(&format!("{rows:?}, stage {i}"), &a.image, &b.image.index_select(&ix, 0)?, tol)?;
            }
        }
    }
    let spread = generator
        .generate_with(GeneratorNoise::new(&z).with_condition(&eps), &text, &ctx)?
        .stages
        .remove(2)
        .image;
    let gap = (spread.get(0)? - spread.get(1)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
    assert!(gap > 1e-3, "all captions give one image");
    Ok(())
}

#[test]
fn evaluation_uses_the_mean_and_training_samples() -> Result<()> {
    let cfg = config(16, 1);
    let generator = trained(&cfg)?;
    let text = captions(&[2, 3], 3, cfg.text_dim, DType::F32)?;
    let mut ctx = Ctx::new(Mode::Eval, 9);
    let z = ctx.randn((2, cfg.nz), DType::F32, &CPU)?;
    let before = ctx.position();
    let a = generator.generate(&z, &text, &mut ctx)?.stages.remove(0).image;
    assert_eq!(ctx.position(), before, "evaluation draws nothing");
    let mean = generator.generate_with(GeneratorNoise::new(&z), &text, &ctx)?.stages.remove(0).image;
    assert_close("mean", &a, &mean, Tol::EXACT)?;
    let image = |seed| -> Result<Tensor> {
        Ok(generator.generate(&z, &text, &mut Ctx::new(Mode::Frozen, seed))?.stages.remove(0).image)
    };
    assert_close("same seed", &image(1)?, &image(1)?, Tol::EXACT)?;
    assert!((image(1)? - image(2)?)?.abs()?.max_all()?.to_scalar::<f32>()? > 1e-4);
    Ok(())
}

#[test]
fn only_a_training_pass_leaves_something_behind() -> Result<()> {
    let cfg = config(16, 2);
    let (store, generator) = build(&cfg, DType::F32)?;
    let text = captions(&[2, 3], 3, cfg.text_dim, DType::F32)?;
    let z = Ctx::new(Mode::Eval, 1).randn((2, cfg.nz), DType::F32, &CPU)?;
    let state = || -> Result<Vec<f32>> {
        let flat = store
            .vars(ParamKind::Buffer)
            .iter()
            .map(|(_, v)| v.flatten_all())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::cat(&flat, 0)?.to_vec1()?)
    };
    let start = state()?;
    for mode in [Mode::Frozen, Mode::Eval] {
        generator.generate(&z, &text, &mut Ctx::new(mode, 0))?;
        assert_eq!(state()?, start, "{mode:?}");
    }
    generator.generate(&z, &text, &mut Ctx::new(Mode::Train, 0))?;
    assert_ne!(state()?, start);
    Ok(())
}

#[test]
fn a_batch_of_one_samples_and_is_refused_in_training() -> Result<()> {
    let cfg = config(16, 2);
    let generator = trained(&cfg)?;
    let text = captions(&[2], 3, cfg.text_dim, DType::F32)?;
    let z = Ctx::new(Mode::Eval, 1).randn((1, cfg.nz), DType::F32, &CPU)?;
    let out = generator.generate(&z, &text, &mut Ctx::new(Mode::Eval, 0))?;
    assert_eq!(out.stages[1].image.dims(), [1, 3, 32, 32]);
    let e = generator.generate(&z, &text, &mut Ctx::new(Mode::Train, 0)).unwrap_err().to_string();
    assert_eq!(
        e,
        "Generator: z: expected shape (B >= 2, nz = 3) in training: batch norm needs two values per channel, got [1, 3]"
    );
    Ok(())
}

#[test]
fn every_parameter_learns_and_the_gradient_is_right() -> Result<()> {
    let cfg = GeneratorConfig { ngf: 2, ..config(16, 2) };
    let (store, generator) = build(&cfg, DType::F64)?;
    let text = captions(&[2, 3], 3, cfg.text_dim, DType::F64)?;
    let ctx = Ctx::new(Mode::Frozen, 0);
    let mut draw = Ctx::new(Mode::Eval, 3);
    let z = draw.randn((2, cfg.nz), DType::F32, &CPU)?.to_dtype(DType::F64)?;
    let eps = draw.randn((2, cfg.nc), DType::F32, &CPU)?.to_dtype(DType::F64)?;
    let loss = |z: &Tensor, sentence: &Tensor, words: &Tensor| -> Result<Tensor> {
        let text = TextFeatures { sentence: sentence.clone(), words: words.clone(), ..text.clone() };
        let out = generator.generate_with(GeneratorNoise::new(z).with_condition(&eps), &text, &ctx)?;
        let images =
            out.stages.iter().map(|s| Ok(s.image.powf(3.)?.sum_all()?)).collect::<Result<Vec<_>>>()?;
        let parts = out.stages[1]
            .disentangled
            .as_ref()
            .map(|d| -> Result<Tensor> { Ok(d.context.non_key()?.sqr()?.sum_all()?) });
        let sum = Tensor::stack(&images, 0)?.sum_all()?;
        Ok(match parts.transpose()? {
            Some(parts) => (sum + parts)?,
            None => sum,
        })
    };
    let tol = Tol { rtol: 1e-4, atol: 1e-5 };
    assert_grad("z", &z, |z| loss(z, &text.sentence, &text.words), tol)?;
    assert_grad("sentence", &text.sentence, |s| loss(&z, s, &text.words), tol)?;
    assert_grad("words", &text.words, |w| loss(&z, &text.sentence, w), tol)?;

    let grads = loss(&z, &text.sentence, &text.words)?.backward()?;
    for (name, var) in store.vars(ParamKind::Param) {
        let grad = grads.get(&var).unwrap_or_else(|| panic!("{name}: no gradient"));
        assert!(grad.abs()?.sum_all()?.to_scalar::<f64>()? > 0., "{name}: its gradient is zero");
    }
    Ok(())
}

#[test]
fn decode_is_the_head_of_its_stage() -> Result<()> {
    let cfg = config(16, 2);
    let (store, generator) = build(&cfg, DType::F32)?;
    let mut ctx = Ctx::new(Mode::Eval, 1);
    let h = ctx.randn((1, cfg.ngf, 32, 32), DType::F32, &CPU)?;
    let weight = &store.views()["img_net2.img.0.weight"];
    let want = h.conv2d(weight, 1, 1, 1, 1)?.tanh()?;
    assert_close("stage 1", &generator.decode(1, &h, &ctx)?, &want, Tol::LAYER)?;
    assert_eq!(
        generator.decode(2, &h, &ctx).unwrap_err().to_string(),
        "Generator::decode: stage: expected shape a stage in 0..2, got [2]"
    );
    assert_eq!(
        generator.decode(0, &h, &ctx).unwrap_err().to_string(),
        "Generator::decode: features: expected shape (B, ngf = 4, 16, 16), got [1, 4, 32, 32]"
    );
    Ok(())
}

#[test]
fn the_real_image_path_feeds_the_heads() -> Result<()> {
    let cfg = config(16, 3);
    let (_, generator) = build(&cfg, DType::F32)?;
    let store = ParamStore::seeded(2);
    let path = RealImagePath::from_config(&cfg.real_image(), store.builder(DType::F32, &CPU))?;
    let ctx = Ctx::new(Mode::Train, 0);
    for stage in [1, 2] {
        let side = cfg.side(stage - 1);
        let real = Ctx::new(Mode::Eval, 1).randn((2, 3, side, side), DType::F32, &CPU)?.tanh()?;
        let features = path.encode(stage, &real, &ctx)?;
        assert_eq!(features.dims(), [2, cfg.ngf, side, side]);
        assert_eq!(generator.decode(stage - 1, &features, &ctx)?.dims(), real.dims());
    }
    let wrong = Tensor::zeros((1, 3, 32, 32), DType::F32, &CPU)?;
    assert_eq!(
        path.encode(1, &wrong, &ctx).unwrap_err().to_string(),
        "RealImagePath::encode: images: expected shape (B, 3, 16, 16), got [1, 3, 32, 32]"
    );
    for stage in [0, 3] {
        let e = path.encode(stage, &wrong, &ctx).unwrap_err().to_string();
        assert!(e.starts_with("RealImagePath::encode: stage: expected shape a stage in 1..3"), "{e}");
    }
    let mut names: Vec<_> = store.all().into_iter().map(|(n, ..)| n).collect();
    names.retain(|n| n.starts_with("h_net2.") && n.ends_with("weight"));
    let want = ["0", "1", "3", "4", "6.block.0", "6.block.1", "6.block.3", "6.block.4"];
    assert_eq!(names, want.map(|n| format!("h_net2.img_code_sxx.{n}.weight")));
    Ok(())
}

#[test]
fn real_image_path_gradients_agree_with_finite_differences() -> Result<()> {
    let cfg = GeneratorConfig { ngf: 2, ..config(16, 2) };
    let path = RealImagePath::from_config(
        &cfg.real_image(),
        drgan_tensor::testing::Fill::new("t", "").builder().set_dtype(DType::F64),
    )?;
    let ctx = Ctx::new(Mode::Eval, 0);
    let column = Ctx::new(Mode::Eval, 1).randn((1, 3, 16, 1), DType::F32, &CPU)?; // 48 numbers, spread over the image
    let spread = Ctx::new(Mode::Eval, 2).randn((1, 3, 16, 16), DType::F32, &CPU)?.to_dtype(DType::F64)?;
    let f = |x: &Tensor| -> Result<Tensor> {
        Ok(path.encode(1, &spread.broadcast_mul(x)?, &ctx)?.powf(3.)?.sum_all()?)
    };
    assert_grad("images", &column, f, Tol { rtol: 1e-4, atol: 1e-5 })
}

#[test]
fn condition_init_scales_the_weight_and_lowers_logvar() -> Result<()> {
    let init = ConditionInit { weight_scale: 4., logvar_bias: -4. };
    let cfg = GeneratorConfig { condition_init: init, ..config(16, 1) };
    let plain = build(&config(16, 1), DType::F32)?.0.views();
    let (store, generator) = build(&cfg, DType::F32)?;
    let views = store.views();
    let w = "ca_net.fc.weight";
    assert_close(w, &views[w], &(&plain[w] * 4.)?, Tol::EXACT)?;
    let bias = views["ca_net.fc.bias"].to_vec1::<f32>()?;
    assert_eq!((&bias[..5], &bias[5..10], &bias[10..]), (&[0.; 5][..], &[-4.; 5][..], &[0.; 10][..]));
    // With a sentence of zeros, mu is 0 and logvar the bias through its gate: -4 sigmoid(0).
    let mut text = captions(&[2], 2, cfg.text_dim, DType::F32)?;
    text.sentence = text.sentence.zeros_like()?;
    let z = Tensor::zeros((1, cfg.nz), DType::F32, &CPU)?;
    let condition = generator.generate(&z, &text, &mut Ctx::new(Mode::Eval, 0))?.condition;
    assert_eq!(condition.mu.to_vec2::<f32>()?, [[0.; 5]]);
    assert_eq!(condition.logvar.to_vec2::<f32>()?, [[-2.; 5]]);

    let e = init_condition(&ParamStore::seeded(0), &cfg).unwrap_err().to_string();
    assert!(e.contains("ca_net.fc.weight"), "{e}");
    Ok(())
}

#[test]
fn names_are_the_documented_ones() -> Result<()> {
    let (store, _) = build(&config(16, 2), DType::F32)?;
    let norm = |at: &str| ["bias", "running_mean", "running_var", "weight"].map(|p| format!("{at}.{p}"));
    let mut want = vec!["ca_net.fc.bias".to_owned(), "ca_net.fc.weight".to_owned()];
    for at in ["h_net1.fc.1", "h_net1.upsample1.2", "h_net1.upsample2.2", "h_net2.upsample.2"] {
        want.extend(norm(at));
    }
    for at in ["residual0.0", "residual.0"] {
        want.extend(norm(&format!("h_net2.{at}.block.1")));
        want.extend(norm(&format!("h_net2.{at}.block.4")));
        want.push(format!("h_net2.{at}.block.0.weight"));
        want.push(format!("h_net2.{at}.block.3.weight"));
    }
    for at in ["reduct_demension", "reduct_demension2"] {
        want.extend(["0.weight", "0.bias", "3.weight", "3.bias"].map(|p| format!("h_net2.{at}.{p}")));
    }
    for at in ["h_net1.fc.0", "h_net1.upsample1.1", "h_net1.upsample2.1", "h_net2.att.conv_context"] {
        want.push(format!("{at}.weight"));
    }
    for at in ["h_net2.upsample.1", "img_net1.img.0", "img_net2.img.0"] {
        want.push(format!("{at}.weight"));
    }
    want.sort();
    let got: Vec<_> = store.all().into_iter().map(|(n, ..)| n).collect();
    assert_eq!(got, want);
    Ok(())
}

#[test]
fn sizes_at_the_papers_width_are_the_released_ones() -> Result<()> {
    let map = [
        ("ca_net.fc.weight", vec![400, 256]),
        ("ca_net.fc.bias", vec![400]),
        ("h_net1.fc.0.weight", vec![32768, 200]),
    ];
    let mut tensors = std::collections::BTreeMap::new();
    for (name, dims) in map {
        tensors.insert(name.to_owned(), Tensor::zeros(dims, DType::F32, &CPU)?);
    }
    for part in ["weight", "bias", "running_mean", "running_var"] {
        tensors.insert(format!("h_net1.fc.1.{part}"), Tensor::zeros(32768, DType::F32, &CPU)?);
        for (k, c) in [1024, 512, 256, 128].into_iter().enumerate() {
            let at = format!("h_net1.upsample{}", k + 1);
            tensors.insert(format!("{at}.2.{part}"), Tensor::zeros(c, DType::F32, &CPU)?);
            tensors.insert(format!("{at}.1.weight"), Tensor::zeros((c, c, 3, 3), DType::F32, &CPU)?);
        }
    }
    tensors.insert("img_net1.img.0.weight".to_owned(), Tensor::zeros((3, 64, 3, 3), DType::F32, &CPU)?);
    let vb = drgan_tensor::builder_over(tensors, DType::F32, &CPU);
    StageGenerator::from_config(&GeneratorConfig { stages: 1, ..Default::default() }, vb)?;
    Ok(())
}

#[test]
fn a_frozen_copy_passes_gradients_to_its_input_only() -> Result<()> {
    let cfg = config(16, 2);
    let (store, _) = build(&cfg, DType::F32)?;
    let frozen = StageGenerator::from_config(&cfg, store.frozen(DType::F32, &CPU))?;
    let text = captions(&[2, 3], 3, cfg.text_dim, DType::F32)?;
    let z = Var::from_tensor(&Ctx::new(Mode::Eval, 1).randn((2, cfg.nz), DType::F32, &CPU)?)?;
    let out = frozen.generate(&z, &text, &mut Ctx::new(Mode::Frozen, 0))?;
    let grads = out.stages[1].image.sqr()?.sum_all()?.backward()?;
    assert!(grads.get(&z).is_some());
    assert!(store.vars(ParamKind::Param).iter().all(|(_, v)| grads.get(v).is_none()));
    Ok(())
}

#[test]
fn configurations_out_of_range_are_named() -> Result<()> {
    let message = |cfg: GeneratorConfig| cfg.validate().unwrap_err().to_string();
    let d = GeneratorConfig::default;
    assert!(d().validate().is_ok());
    assert_eq!(
        message(GeneratorConfig { base: 48, ..d() }),
        "config `generator.base`: 48; must be a power of two from 16 on, e.g. 64"
    );
    assert!(message(GeneratorConfig { base: 8, ..d() }).starts_with("config `generator.base`"));
    assert!(message(GeneratorConfig { stages: 0, ..d() }).starts_with("config `generator.stages`"));
    assert!(message(GeneratorConfig { ngf: 3, ..d() }).starts_with("config `generator.ngf`"));
    assert!(message(GeneratorConfig { nz: 0, ..d() }).starts_with("config `generator.nz`"));
    let condition_init = ConditionInit { weight_scale: 0., logvar_bias: 0. };
    assert!(message(GeneratorConfig { condition_init, ..d() }).contains("condition_init.weight_scale"));
    let e = StageGenerator::from_config(
        &GeneratorConfig { base: 17, ..d() },
        ParamStore::seeded(0).builder(DType::F32, &CPU),
    )
    .unwrap_err();
    assert!(e.to_string().starts_with("config `generator.base`"), "{e}");
    Ok(())
}

#[test]
fn a_packed_generator_paints_the_same() -> Result<()> {
    for (form, ngf) in [(Variant::Paper, 4), (Variant::Paper, 12), (Variant::Released, 16)] {
        let cfg = GeneratorConfig { form, ngf, ..config(16, 3) };
        let generator = trained(&cfg)?;
        let mut ctx = Ctx::new(Mode::Eval, 7);
        let z = ctx.randn((3, cfg.nz), DType::F32, &CPU)?;
        let text = captions(&[2, 4, 3], 4, cfg.text_dim, DType::F32)?;
        let plain = generator.generate_with(GeneratorNoise::new(&z), &text, &ctx)?;
        // One 8-bit level is 1 / 127.5: single precision must not even come near it.
        for (precision, atol) in [(Precision::F32, 1e-4), (Precision::Bf16, 0.05)] {
            let packed = generator.pack(precision)?;
            let drawn = packed.generate_with(GeneratorNoise::new(&z), &text, &ctx)?;
            for (stage, (got, want)) in drawn.stages.iter().zip(&plain.stages).enumerate() {
                let what = format!("{form:?}, ngf {ngf}, {precision:?}, stage {stage}");
                assert_close(&what, &got.image, &want.image, Tol { rtol: 0., atol })?;
            }
        }
        let training = Ctx::new(Mode::Train, 7);
        let error = generator.pack(Precision::F32)?.generate_with(GeneratorNoise::new(&z), &text, &training);
        assert!(error.is_err_and(|e| e.to_string().contains("packed for inference")));
    }
    Ok(())
}
