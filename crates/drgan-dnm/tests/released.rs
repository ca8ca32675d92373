//! The released form: shapes, the shared conditioning net, what training draws.
use candle_core::{DType, Device, Tensor};
use drgan_dnm::{DiscriminatorConfig, LatentNoise, StageDiscriminator};
use drgan_tensor::testing::{Tol, assert_close};
use drgan_tensor::{
    Ctx, Discriminator, FromConfig, Mode, ParamStore, Result, Variant, init, parameter_shapes,
};

const CPU: Device = Device::Cpu;

fn config(side: usize) -> DiscriminatorConfig {
    DiscriminatorConfig { side, base: 16, ndf: 2, text_dim: 5, latent: 3, form: Variant::Released }
}

fn build(cfg: &DiscriminatorConfig) -> Result<(StageDiscriminator, Tensor, Tensor)> {
    let store = ParamStore::seeded(1);
    let net = StageDiscriminator::from_config(cfg, store.builder(DType::F32, &CPU))?;
    init::gan(&store)?;
    let mut ctx = Ctx::new(Mode::Eval, 12);
    let images = ctx.randn((3, 3, cfg.side, cfg.side), DType::F32, &CPU)?.tanh()?;
    Ok((net, images, ctx.randn((3, cfg.text_dim), DType::F32, &CPU)?))
}

fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f32> {
    Ok((a - b)?.abs()?.max_all()?.to_scalar()?)
}

#[test]
fn the_latent_is_made_of_the_deepest_map_by_the_texts_net() -> Result<()> {
    for (side, deepest) in [(16, 16), (64, 16), (128, 32), (256, 64)] {
        let cfg = config(side);
        let shapes = parameter_shapes(|vb| StageDiscriminator::from_config(&cfg, vb))?;
        assert_eq!(shapes["global_reduction.0.weight"], [5, deepest, 1, 1], "side {side}");
        assert!(shapes.keys().all(|name| !name.starts_with("phi")), "one net serves both");
        let (net, images, sentence) = build(&cfg)?;
        let out = net.discriminate(&images, &sentence, &mut Ctx::new(Mode::Train, 0))?;
        assert_eq!((out.features.dims(), out.latent.mu.dims()), (&[3, 16, 4, 4][..], &[3, 3][..]));
        assert_eq!(out.reconstruction.dims(), [3, 3, 16, 16]);
    }
    Ok(())
}

#[test]
fn training_samples_the_sentences_code_and_evaluation_takes_its_mean() -> Result<()> {
    let (net, images, sentence) = build(&config(16))?;
    let ctx = Ctx::new(Mode::Eval, 0);
    let whole = net.discriminate(&images, &sentence, &mut ctx.clone())?;
    let seen = net.encode(&images, &ctx)?;
    let (_, mean) = net.reconstruct(&seen, &sentence, LatentNoise::default(), &ctx)?;
    assert_close("evaluation", &whole.reconstruction, &mean, Tol::EXACT)?;

    // The frozen pass of the generator's step: first the images' noise, then the sentence's.
    let mut frozen = Ctx::new(Mode::Frozen, 4);
    let (image, text) = (frozen.randn((3, 3), DType::F32, &CPU)?, frozen.randn((3, 3), DType::F32, &CPU)?);
    let mut again = Ctx::new(Mode::Frozen, 4);
    let drawn = net.discriminate(&images, &sentence, &mut again)?.reconstruction;
    let noise = LatentNoise { image: Some(&image), text: Some(&text) };
    let seen = net.encode(&images, &again)?;
    assert_close("training", &drawn, &net.reconstruct(&seen, &sentence, noise, &again)?.1, Tol::EXACT)?;
    let half = LatentNoise { image: Some(&image), text: None };
    assert!(largest_difference(&drawn, &net.reconstruct(&seen, &sentence, half, &again)?.1)? > 1e-4);
    Ok(())
}

#[test]
fn a_released_reconstruction_may_leave_the_range_of_images_upwards_and_hardly_downwards() -> Result<()> {
    let (net, images, sentence) = build(&config(16))?;
    let ctx = Ctx::new(Mode::Frozen, 0);
    let seen = net.encode(&images, &ctx)?;
    let x =
        net.reconstruct(&seen, &sentence, LatentNoise::default(), &ctx)?.1.flatten_all()?.to_vec1::<f32>()?;
    let (low, high) = x.iter().fold((0f32, 0f32), |(l, h), v| (l.min(*v), h.max(*v)));
    assert!(low < 0. && high > 2. * -low, "LeakyReLU(0.2) scales what is below 0: {low} {high}");
    Ok(())
}
