//! Trains one block to do what another does, by plain gradient descent, and keeps its weights in a file.
//!
//! `cargo run --release --example fit -- --device cpu`; without a device on the fastest there is.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::DType;
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::nn::UpBlock;
use drgan_tensor::weights::safetensors;
use drgan_tensor::{Ctx, Mode, ParamKind, ParamStore, Result, init};
use std::collections::BTreeMap;

const RATE: f64 = 0.2;

fn main() -> Result<()> {
    let dev = DeviceRequest::of_arguments(std::env::args().skip(1))?.open()?;
    let (store, wanted) = (ParamStore::seeded(1), ParamStore::seeded(2));
    let block = UpBlock::new(8, 4, store.builder(DType::F32, &dev))?;
    UpBlock::new(8, 4, wanted.builder(DType::F32, &dev))?;
    init::gan(&store)?;
    init::gan(&wanted)?;
    // A block over views of a store's weights: a constant, and its gradients are never computed.
    let teacher = UpBlock::new(8, 4, wanted.frozen(DType::F32, &dev))?;

    let mut ctx = Ctx::new(Mode::Train, 7);
    for step in 0..=100 {
        let x = ctx.randn((8, 8, 8, 8), DType::F32, &dev)?;
        let loss = (block.forward(&x, &ctx)? - teacher.forward(&x, &ctx)?)?.sqr()?.mean_all()?;
        if step % 20 == 0 {
            println!("step {step:>3}: mean square {:.4}", loss.to_scalar::<f32>()?);
        }
        let gradients = loss.backward()?;
        for (_, var) in store.vars(ParamKind::Param) {
            if let Some(g) = gradients.get(&var) {
                var.set(&(var.as_detached_tensor() - (g * RATE)?)?)?;
            }
        }
    }

    let path = std::env::temp_dir().join("drgan-fit.safetensors");
    safetensors::save(&path, &store.views(), &BTreeMap::from([("steps".to_owned(), "101".to_owned())]))?;
    let (tensors, about) = safetensors::load(&path, &dev)?;
    println!("{}: {} tensors, {} steps", path.display(), tensors.len(), about["steps"]);
    store.assign(&tensors)
}
