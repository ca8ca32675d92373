//! A small discriminator: builds it and prints the shapes that come out.
//!
//! `cargo run --release --example discriminate -- --device cpu`; without a device on the fastest there is.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::DType;
use drgan_dnm::{DiscriminatorConfig, StageDiscriminator};
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::{Ctx, Discriminator, FromConfig, Mode, ParamStore, Result, init};

fn main() -> Result<()> {
    let dev = DeviceRequest::of_arguments(std::env::args().skip(1))?.open()?;
    let cfg = DiscriminatorConfig { side: 64, base: 16, ndf: 8, ..Default::default() };
    let store = ParamStore::seeded(1);
    let net = StageDiscriminator::from_config(&cfg, store.builder(DType::F32, &dev))?;
    init::gan(&store)?;

    let mut ctx = Ctx::new(Mode::Train, 7);
    let images = ctx.randn((2, 3, 64, 64), DType::F32, &dev)?.tanh()?;
    let sentence = ctx.randn((2, cfg.text_dim), DType::F32, &dev)?;
    let out = net.discriminate(&images, &sentence, &mut ctx)?;
    println!("{} parameters", store.num_params());
    println!("features {:?}, latent {:?}", out.features.dims(), out.latent.mu.dims());
    println!("logits {} {}", out.unconditional, out.conditional);
    println!("reconstruction {:?}", out.reconstruction.dims());

    // Wrong pairs reuse the features: each image beside the other's caption.
    let swapped = sentence.flip(&[0])?;
    println!("wrong pairs {}", net.match_sentence(&out.features, &swapped, &mut ctx)?);
    Ok(())
}
