//! The discriminators: shapes, independence of the batch, names, gradients, errors.
use candle_core::{DType, Device, Tensor, Var};
use drgan_dnm::{DiscriminatorConfig, LatentNoise, StageDiscriminator};
use drgan_tensor::testing::{Tol, assert_close, assert_grad};
use drgan_tensor::{Ctx, Discriminator, FromConfig, Mode, ParamKind, ParamStore, Result, init};

const CPU: Device = Device::Cpu;

fn config(side: usize, base: usize) -> DiscriminatorConfig {
    DiscriminatorConfig { side, base, ndf: 2, text_dim: 5, latent: 3, ..Default::default() }
}

fn build(cfg: &DiscriminatorConfig, dtype: DType) -> Result<(ParamStore, StageDiscriminator)> {
    let store = ParamStore::seeded(1);
    let net = StageDiscriminator::from_config(cfg, store.builder(dtype, &CPU))?;
    init::gan(&store)?;
    Ok((store, net))
}

fn batch(b: usize, cfg: &DiscriminatorConfig) -> Result<(Tensor, Tensor)> {
    let mut ctx = Ctx::new(Mode::Eval, 12);
    Ok((
        ctx.randn((b, 3, cfg.side, cfg.side), DType::F32, &CPU)?.tanh()?,
        ctx.randn((b, cfg.text_dim), DType::F32, &CPU)?,
    ))
}

fn state(store: &ParamStore) -> Result<Vec<f32>> {
    let flat =
        store.vars(ParamKind::Buffer).iter().map(|(_, v)| v.flatten_all()).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::cat(&flat, 0)?.to_vec1()?)
}

#[test]
fn shapes_follow_the_sides() -> Result<()> {
    for (side, base) in [(16, 16), (32, 16), (64, 16), (64, 64), (128, 32), (256, 16)] {
        let cfg = config(side, base);
        let (_, net) = build(&cfg, DType::F32)?;
        assert_eq!(net.side(), side);
        let (images, sentence) = batch(2, &cfg)?;
        let out = net.discriminate(&images, &sentence, &mut Ctx::new(Mode::Train, 0))?;
        assert_eq!(out.features.dims(), [2, 16, 4, 4]);
        assert_eq!((out.unconditional.dims(), out.conditional.dims()), (&[2][..], &[2][..]));
        assert_eq!((out.latent.mu.dims(), out.latent.logvar.dims()), (&[2, 3][..], &[2, 3][..]));
        assert_eq!(out.reconstruction.dims(), [2, 3, base, base]);
        let peak = out.reconstruction.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(peak > 0. && peak <= 1., "{peak}");
    }
    Ok(())
}

#[test]
fn logits_do_not_depend_on_their_neighbors() -> Result<()> {
    let cfg = config(32, 16);
    let (_, net) = build(&cfg, DType::F32)?;
    let (images, sentence) = batch(3, &cfg)?;
    net.discriminate(&images, &sentence, &mut Ctx::new(Mode::Train, 0))?;
    let mut ctx = Ctx::new(Mode::Eval, 0);
    let whole = net.discriminate(&images, &sentence, &mut ctx)?;
    let tol = Tol { rtol: 1e-5, atol: 1e-5 };
    for rows in [&[0u32][..], &[2], &[2, 0, 1]] {
        let ix = Tensor::new(rows, &CPU)?;
        let of = |x: &Tensor| x.contiguous()?.index_select(&ix, 0);
        let part = net.discriminate(&of(&images)?, &of(&sentence)?, &mut ctx)?;
        assert_close("unconditional", &part.unconditional, &of(&whole.unconditional)?, tol)?;
        assert_close("conditional", &part.conditional, &of(&whole.conditional)?, tol)?;
        assert_close("mu", &part.latent.mu, &of(&whole.latent.mu)?, tol)?;
        assert_close("reconstruction", &part.reconstruction, &of(&whole.reconstruction)?, tol)?;
    }
    Ok(())
}

#[test]
fn the_parts_are_the_whole_and_sentences_matter() -> Result<()> {
    let cfg = config(16, 16);
    let (_, net) = build(&cfg, DType::F32)?;
    let (images, sentence) = batch(3, &cfg)?;
    let mut ctx = Ctx::new(Mode::Eval, 0);
    let whole = net.discriminate(&images, &sentence, &mut ctx)?;
    let seen = net.encode(&images, &ctx)?;
    let v = seen.features.clone();
    assert_close("features", &v, &whole.features, Tol::EXACT)?;
    assert_close("unconditional", &net.unconditional_logits(&v)?, &whole.unconditional, Tol::EXACT)?;
    assert_close(
        "conditional",
        &net.match_sentence(&v, &sentence, &mut ctx)?,
        &whole.conditional,
        Tol::EXACT,
    )?;
    let (latent, image) = net.reconstruct(&seen, &sentence, LatentNoise::default(), &ctx)?;
    assert_close("mu", &latent.mu, &whole.latent.mu, Tol::EXACT)?;
    assert_close("reconstruction", &image, &whole.reconstruction, Tol::EXACT)?;

    let differs = |a: &Tensor, b: &Tensor| -> Result<bool> {
        Ok((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? > 1e-5)
    };
    let other = Tensor::cat(&[&sentence.narrow(0, 1, 2)?, &sentence.narrow(0, 0, 1)?], 0)?;
    assert!(differs(&net.match_sentence(&v, &other, &mut ctx)?, &whole.conditional)?);
    assert!(differs(&net.reconstruct(&seen, &other, LatentNoise::default(), &ctx)?.1, &image)?);
    let eps = ctx.randn((3, cfg.latent), DType::F32, &CPU)?;
    for noise in
        [LatentNoise { image: Some(&eps), text: None }, LatentNoise { image: None, text: Some(&eps) }]
    {
        assert!(differs(&net.reconstruct(&seen, &sentence, noise, &ctx)?.1, &image)?);
    }
    Ok(())
}

#[test]
fn only_a_training_pass_leaves_something_behind() -> Result<()> {
    let cfg = config(16, 16);
    let (store, net) = build(&cfg, DType::F32)?;
    let (images, sentence) = batch(2, &cfg)?;
    let start = state(&store)?;
    for mode in [Mode::Frozen, Mode::Eval] {
        net.discriminate(&images, &sentence, &mut Ctx::new(mode, 0))?;
        assert_eq!(state(&store)?, start, "{mode:?}");
    }
    net.discriminate(&images, &sentence, &mut Ctx::new(Mode::Train, 0))?;
    assert_ne!(state(&store)?, start);
    Ok(())
}

#[test]
fn a_batch_of_one_is_scored_and_refused_where_statistics_need_two() -> Result<()> {
    let cfg = config(16, 16);
    let (_, net) = build(&cfg, DType::F32)?;
    let (images, sentence) = batch(1, &cfg)?;
    let out = net.discriminate(&images, &sentence, &mut Ctx::new(Mode::Eval, 0))?;
    assert_eq!(out.unconditional.dims(), [1]);
    let e = net.discriminate(&images, &sentence, &mut Ctx::new(Mode::Train, 0)).unwrap_err();
    assert_eq!(
        e.to_string(),
        "Discriminator: features: expected shape (B >= 2, 8 ndf, 4, 4) in training: batch norm needs two values per \
         channel, got [1, 16, 4, 4]"
    );
    Ok(())
}

#[test]
fn a_frozen_discriminator_passes_gradients_to_the_image_only() -> Result<()> {
    let cfg = config(16, 16);
    let (store, live) = build(&cfg, DType::F32)?;
    let copy = StageDiscriminator::from_config(&cfg, store.frozen(DType::F32, &CPU))?;
    let (images, sentence) = batch(2, &cfg)?;
    let images = Var::from_tensor(&images)?;
    let before = state(&store)?;
    let run = |net: &StageDiscriminator| net.discriminate(&images, &sentence, &mut Ctx::new(Mode::Frozen, 3));
    let (out, same) = (run(&copy)?, run(&live)?);
    assert_close("copy", &out.conditional, &same.conditional, Tol::EXACT)?;
    assert_close("copy's reconstruction", &out.reconstruction, &same.reconstruction, Tol::EXACT)?;
    for (what, value) in [
        ("unconditional", &out.unconditional),
        ("conditional", &out.conditional),
        ("reconstruction", &out.reconstruction),
    ] {
        let grads = value.sqr()?.sum_all()?.backward()?;
        let grad = grads.get(&images).unwrap_or_else(|| panic!("{what}: no gradient reaches the image"));
        assert!(grad.abs()?.sum_all()?.to_scalar::<f32>()? > 0., "{what}");
        assert!(store.vars(ParamKind::Param).iter().all(|(_, v)| grads.get(v).is_none()), "{what}");
    }
    assert_eq!(state(&store)?, before);
    Ok(())
}

#[test]
fn every_parameter_learns_and_the_gradient_is_right() -> Result<()> {
    let cfg = config(16, 16);
    let (store, net) = build(&cfg, DType::F64)?;
    let (images, sentence) = batch(2, &cfg)?;
    let (images, sentence) = (images.to_dtype(DType::F64)?, sentence.to_dtype(DType::F64)?);
    let loss = |images: &Tensor, sentence: &Tensor| -> Result<Tensor> {
        let out = net.discriminate(images, sentence, &mut Ctx::new(Mode::Frozen, 3))?;
        let logits = (out.unconditional.sqr()? + out.conditional.powf(3.)?)?.sum_all()?;
        let latent = (out.latent.mu.sqr()? + out.latent.logvar.exp()?)?.sum_all()?;
        Ok(((logits + latent)? + out.reconstruction.sqr()?.sum_all()?)?)
    };
    let tol = Tol { rtol: 1e-4, atol: 1e-5 };
    assert_grad("sentence", &sentence, |s| loss(&images, s), tol)?;
    // A column of factors stands for the whole image: 96 numbers instead of 1536.
    let column = Tensor::ones((2, 3, 16, 1), DType::F64, &CPU)?;
    assert_grad("images", &column, |c| loss(&images.broadcast_mul(c)?, &sentence), tol)?;

    let grads = loss(&images, &sentence)?.backward()?;
    for (name, var) in store.vars(ParamKind::Param) {
        let grad = grads.get(&var).unwrap_or_else(|| panic!("{name}: no gradient"));
        assert!(grad.abs()?.sum_all()?.to_scalar::<f64>()? > 0., "{name}: its gradient is zero");
    }
    Ok(())
}

#[test]
fn names_and_shapes_are_the_documented_ones() -> Result<()> {
    let shapes = |side: usize, base: usize| -> Result<Vec<(String, Vec<usize>)>> {
        let (store, _) = build(&config(side, base), DType::F32)?;
        Ok(store.all().into_iter().map(|(n, _, v)| (n, v.dims().to_vec())).collect())
    };
    let spectral = |at: &str, out: usize, inp: usize, k: usize| {
        let at = format!("{at}.module");
        vec![
            (format!("{at}.bias"), vec![out]),
            (format!("{at}.weight_bar"), vec![out, inp, k, k]),
            (format!("{at}.weight_u"), vec![out]),
            (format!("{at}.weight_v"), vec![inp * k * k]),
        ]
    };
    let norm = |at: &str, c: usize| {
        ["bias", "running_mean", "running_var", "weight"].map(|p| (format!("{at}.{p}"), vec![c])).to_vec()
    };
    let weight = |at: &str, dims: &[usize]| vec![(format!("{at}.weight"), dims.to_vec())];
    let common = [
        spectral("COND_DNET.jointConv.0", 16, 16 + 5, 3),
        weight("COND_DNET.outlogits.0", &[1, 16, 4, 4]),
        vec![("COND_DNET.outlogits.0.bias".to_owned(), vec![1])],
        weight("UNCOND_DNET.outlogits.0", &[1, 16, 4, 4]),
        vec![("UNCOND_DNET.outlogits.0.bias".to_owned(), vec![1])],
        weight("ca_net.fc", &[12, 5]),
        vec![("ca_net.fc.bias".to_owned(), vec![12])],
        weight("phi.fc", &[12, 16]),
        vec![("phi.fc.bias".to_owned(), vec![12])],
        weight("h_net1.fc.0", &[256, 6]),
        norm("h_net1.fc.1", 256),
        weight("h_net1.upsample1.1", &[8, 8, 3, 3]),
        norm("h_net1.upsample1.2", 8),
        weight("h_net1.upsample2.1", &[4, 4, 3, 3]),
        norm("h_net1.upsample2.2", 4),
        weight("img_code_s1.0", &[3, 2, 1, 1]),
    ]
    .concat();
    let full = [
        spectral("img_code_s16.0", 2, 3, 4),
        spectral("img_code_s16.2", 4, 2, 4),
        spectral("img_code_s16.4", 8, 4, 4),
        spectral("img_code_s16.6", 16, 8, 4),
    ]
    .concat();
    let encoders = [
        (16, [spectral("img_code_s16.0", 8, 3, 4), spectral("img_code_s16.2", 16, 8, 4)].concat()),
        (64, full.clone()),
        (
            128,
            [full.clone(), spectral("img_code_s32.0", 32, 16, 4), spectral("img_code_s32_1.0", 16, 32, 3)]
                .concat(),
        ),
        (
            256,
            [
                full,
                spectral("img_code_s32.0", 32, 16, 4),
                spectral("img_code_s64.0", 64, 32, 4),
                spectral("img_code_s64_1.0", 32, 64, 3),
                spectral("img_code_s64_2.0", 16, 32, 3),
            ]
            .concat(),
        ),
    ];
    for (side, encoder) in encoders {
        let mut want = [common.clone(), encoder].concat();
        want.sort();
        assert_eq!(shapes(side, 16)?, want, "side {side}");
    }
    Ok(())
}

#[test]
fn bad_shapes_and_configurations_are_named() -> Result<()> {
    let cfg = config(16, 16);
    let (_, net) = build(&cfg, DType::F32)?;
    let (images, sentence) = batch(2, &cfg)?;
    let mut ctx = Ctx::new(Mode::Eval, 0);
    let wrong = Tensor::zeros((2, 3, 16, 8), DType::F32, &CPU)?;
    assert_eq!(
        net.discriminate(&wrong, &sentence, &mut ctx).unwrap_err().to_string(),
        "Discriminator: images: expected shape (B, 3, 16, 16), got [2, 3, 16, 8]"
    );
    assert_eq!(
        net.discriminate(&images, &sentence.narrow(0, 0, 1)?, &mut ctx).unwrap_err().to_string(),
        "Discriminator: sentence: expected shape (B = 2, D = 5), got [1, 5]"
    );
    assert_eq!(
        net.match_sentence(&images, &sentence, &mut ctx).unwrap_err().to_string(),
        "Discriminator: features: expected shape (B, 8 ndf = 16, 4, 4), got [2, 3, 16, 16]"
    );
    let message = |cfg: DiscriminatorConfig| cfg.validate().unwrap_err().to_string();
    assert!(DiscriminatorConfig::default().validate().is_ok());
    assert_eq!(
        message(config(24, 16)),
        "config `discriminator.side`: 24; must be a power of two from 16 on, e.g. 64"
    );
    assert!(message(config(16, 8)).starts_with("config `discriminator.base`"));
    assert!(message(DiscriminatorConfig { ndf: 0, ..cfg }).starts_with("config `discriminator.ndf`"));
    Ok(())
}
