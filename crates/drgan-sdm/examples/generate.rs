//! A small generator and its real image path: builds both and prints the shapes that come out.
//!
//! `cargo run --release --example generate -- --device cpu`; without a device on the fastest there is.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::{DType, Tensor};
use drgan_sdm::{GeneratorConfig, RealImagePath, StageGenerator, init_condition};
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::{Ctx, FromConfig, Generator, Mode, ParamStore, Result, TextFeatures, init};

fn main() -> Result<()> {
    let dev = DeviceRequest::of_arguments(std::env::args().skip(1))?.open()?;
    let cfg = GeneratorConfig { base: 16, ngf: 8, residual_blocks: 1, ..Default::default() };
    let store = ParamStore::seeded(1);
    let generator = StageGenerator::from_config(&cfg, store.builder(DType::F32, &dev))?;
    init::gan(&store)?;
    init_condition(&store, &cfg)?;

    // Two captions of two and five words, as a text encoder gives them.
    let mut ctx = Ctx::new(Mode::Train, 7);
    let text = TextFeatures {
        words: ctx.randn((2, cfg.text_dim, 5), DType::F32, &dev)?,
        sentence: ctx.randn((2, cfg.text_dim), DType::F32, &dev)?,
        mask: Tensor::new(&[[0u8, 0, 1, 1, 1], [0, 0, 0, 0, 0]], &dev)?,
        lens: vec![2, 5],
    };
    let z = ctx.randn((2, cfg.nz), DType::F32, &dev)?;
    let out = generator.generate(&z, &text, &mut ctx)?;
    println!("{} parameters", store.num_params());
    for (i, stage) in out.stages.iter().enumerate() {
        let attention = stage.attention.as_ref().map(|a| a.dims().to_vec());
        println!("stage {i}: image {:?}, attention {attention:?}", stage.image.dims());
    }

    let path =
        RealImagePath::from_config(&cfg.real_image(), ParamStore::seeded(2).builder(DType::F32, &dev))?;
    let real = Tensor::zeros((2, 3, 16, 16), DType::F32, &dev)?;
    let features = path.encode(1, &real, &ctx)?;
    println!("H* {:?}, rebuilt {:?}", features.dims(), generator.decode(0, &features, &ctx)?.dims());
    Ok(())
}
