//! `drgan sample`.
use super::common::{open_trained, report, use_threads};
use crate::cli::{PrecisionArg, SampleArgs};
use crate::signals::Stop;
use anyhow::{Result, bail};
use candle_core::Device;
use drgan_infer::pretrained::{self, Files};
use drgan_infer::{Arithmetic, CaptionEncoder, Model, Sampler, rgb, sheet};
use drgan_tensor::internal::{agreeing, escaped, shown};
use drgan_terminal::remark;
use drgan_text::AlteredWord;

pub(super) fn run(args: &SampleArgs, stop: &Stop) -> Result<()> {
    // Before anything is read or drawn.
    rgb::check_name(&args.out)?;
    drgan_tensor::file::target(&args.out)?;
    use_threads(&args.compute)?;
    let device = args.compute.device.unwrap_or_default().open()?;
    let (model, named) = open(args, &device)?;
    let arithmetic = Arithmetic::from(args.precision);
    if args.precision == PrecisionArg::Tf32 && device.is_cpu() {
        bail!("--precision tf32: CUDA devices alone compute in it; --device cpu draws in f32, bf16 and f64")
    }
    if device.is_cpu() && matches!(arithmetic, Arithmetic::Packed(precision) if !precision.is_native()) {
        remark("warning: this processor has no AMX units for bf16: drawing in f32");
    }
    for caption in &args.captions {
        warn_of_dropped_words(model.captions(), caption)?;
    }
    let noise: Vec<u64> = (0..u64::from(args.count)).collect();
    let options = sheet::Options { stages: args.stages, attention: args.attention };
    let sampler = Sampler::new(&model, arithmetic)?;
    let image = sheet::draw(&sampler, &args.captions, &noise, args.seed, options)?;
    let _whole = stop.hold();
    rgb::save_png(&image, &args.out)?;
    report(&format!("{} ({named}, seed {})", shown(&args.out), args.seed));
    Ok(())
}

/// The model to draw with, and what it is called.
fn open(args: &SampleArgs, device: &Device) -> Result<(Model, String)> {
    if let (Some(generator), Some(text_encoder), Some(vocabulary)) =
        (&args.generator, &args.text_encoder, &args.vocabulary)
    {
        let mask_logit_scale = args.mask_logit_scale;
        let files = Files { generator, text_encoder, vocabulary, mask_logit_scale };
        return Ok((pretrained::open(&files, device)?, shown(generator).to_string()));
    }
    let trained = open_trained(args.run.as_deref(), device)?;
    Ok((trained.model, format!("{}, step {}", trained.cfg.preset, trained.step)))
}

fn warn_of_dropped_words(captions: &CaptionEncoder, caption: &str) -> Result<()> {
    let found = captions.tokenize(caption)?;
    let warn = |text: String| remark(format!("warning: \"{}\": {}", escaped(caption), escaped(&text)));
    if !found.unknown.is_empty() {
        let unknown = found.unknown.join(", ");
        warn(format!("not in the vocabulary, ignored: {unknown}"));
    }
    if !found.cut.is_empty() {
        let n = captions.max_words();
        let cut = found.cut.join(", ");
        let first = agreeing(n, "[word is|words are]");
        warn(format!("only its first {n} known {first} used, left out: {cut}"));
    }
    let altered = captions.tokenizer().altered_words(caption)?;
    if !altered.is_empty() {
        let altered = altered.into_iter().map(|AlteredWord { written, read }| match read.as_str() {
            "" => format!("{written} (not read)"),
            read => format!("{written} (read as {read})"),
        });
        let altered = altered.collect::<Vec<_>>().join(", ");
        warn(format!("the vocabulary has words of ASCII letters alone: {altered}"));
    }
    Ok(())
}
