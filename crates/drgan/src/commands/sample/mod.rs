//! `drgan sample`: captions as a grid, a folder of images, or an animation.
mod captions;
mod folder;
mod model;
mod walk;

use super::common::{open_device, report, use_threads};
use crate::cli::{PrecisionArg, SampleArgs};
use crate::signals::Stop;
use anyhow::{Result, bail};
use candle_core::Device;
use captions::Checked;
use drgan_infer::{Arithmetic, Sampler, animation, rgb, sheet};
use drgan_tensor::internal::shown;
use drgan_tensor::ops::Precision;
use drgan_terminal::remark;
use model::Opened;

pub(super) fn run(args: &SampleArgs, stop: &Stop) -> Result<()> {
    // Before anything is read or drawn.
    if args.out_dir.is_none() {
        match args.interpolate {
            true => drop(animation::Format::of(&args.out)?),
            false => rgb::check_name(&args.out)?,
        }
        drgan_tensor::file::target(&args.out)?;
    }
    use_threads(&args.compute)?;
    let device = open_device(&args.compute, Precision::F32)?;
    let arithmetic = arithmetic(args, &device)?;
    let opened = Opened::new(args, &device)?;
    let mut sampler = Sampler::new(&opened.model, arithmetic)?;
    if let Some(limit) = args.truncation {
        sampler = sampler.with_truncation(limit);
    }
    let mut checked = Checked::new(opened.model.captions(), args)?;
    if let Some(dir) = &args.out_dir {
        return folder::draw(args, dir, &sampler, &opened, &mut checked, stop);
    }
    let captions = checked.by_ref().map(|found| Ok(found?.caption)).collect::<Result<Vec<String>>>()?;
    checked.end()?;
    let noise: Vec<u64> = (0..u64::from(args.count)).collect();
    if args.interpolate {
        return walk::draw(args, &sampler, &captions, &noise, &opened.name, stop);
    }
    let options = sheet::Options { stages: args.stages, attention: args.attention };
    let image = sheet::draw(&sampler, &captions, &noise, args.seed, options)?;
    let _whole = stop.hold();
    rgb::save_png(&image, &args.out)?;
    report(&format!("{} ({}, seed {})", shown(&args.out), opened.name, args.seed));
    Ok(())
}

/// What to compute in, which the device must be able to.
fn arithmetic(args: &SampleArgs, device: &Device) -> Result<Arithmetic> {
    let arithmetic = Arithmetic::from(args.precision);
    if args.precision == PrecisionArg::Tf32 && device.is_cpu() {
        bail!("--precision tf32: CUDA devices alone compute in it; --device cpu draws in f32, bf16 and f64")
    }
    if device.is_cpu() && matches!(arithmetic, Arithmetic::Packed(precision) if !precision.is_native()) {
        remark("warning: this processor has no AMX units for bf16: drawing in f32");
        return Ok(Precision::F32.into());
    }
    Ok(arithmetic)
}
