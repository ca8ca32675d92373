//! What stands before both phases of training: settings, data, the run's folder.
use super::common::{open_data, path_setting, use_threads, write};
use crate::cli::RunArgs;
use anyhow::{Context, Result, bail};
use candle_core::Device;
use drgan_data::{Dataset, Loader, Split};
use drgan_infer::pretrained;
use drgan_tensor::device::HOST;
use drgan_tensor::weights;
use drgan_train::config::{GivenEncoders, Overrides, RunConfig};
use drgan_train::damsm::Encoders;
use drgan_train::events::format_duration;
use drgan_train::run::{self, Checkpoint, RunDir};
use drgan_train::session::estimate;
use std::path::Path;
use std::sync::Arc;

/// A run that can start.
pub(super) struct Prepared {
    pub(super) cfg: RunConfig,
    pub(super) data: Arc<Dataset>,
    pub(super) run: RunDir,
}

/// Nothing if only the settings were asked for; `settings` are a command's own, over all others.
pub(super) fn prepare(args: &RunArgs, settings: &[String]) -> Result<Option<Prepared>> {
    use_threads(&args.compute)?;
    let settings = overrides(args, settings)?;
    let cfg = match &args.resume {
        Some(run) => resumed_config(&settings, run)?,
        // Preset, file, `--set`, then the flags that have their own names. A resumed run has its encoders' settings already.
        None => with_encoder_settings(RunConfig::resolve(
            &args.preset,
            &Overrides { file: args.config.as_deref(), set: &settings },
        )?)?,
    };
    let device = cfg.open_device()?;
    let data = open_data(&cfg)?;
    Loader::check(&data, Split::Train, &cfg.loader())?;
    if args.dry_run {
        println!("{}", cfg.to_toml()?);
        println!("{}", describe(&cfg, &data, args.resume.as_deref(), &device)?);
        return Ok(None);
    }
    let run = match &args.resume {
        Some(path) => RunDir::open(path)?,
        None => RunDir::create(args.out.as_deref(), &cfg.preset, cfg.seed)?,
    };
    write(&run.config(), &cfg.to_toml()?)?;
    eprintln!("{}", describe(&cfg, &data, args.resume.as_deref(), &device)?);
    Ok(Some(Prepared { cfg, data, run }))
}

/// Encoders of another run, or of files, bring the settings they were trained with.
fn with_encoder_settings(cfg: RunConfig) -> Result<RunConfig> {
    let mut cfg = cfg;
    if !cfg.encoders.run.is_empty() {
        let run = RunDir::open(Path::new(&cfg.encoders.run))?;
        let text =
            std::fs::read_to_string(run.config()).with_context(|| run.config().display().to_string())?;
        cfg = cfg.with_encoders_of(&RunConfig::from_toml(&text)?);
    }
    let GivenEncoders { text, image, vocabulary, .. } = &cfg.encoders;
    if [text, image, vocabulary].iter().all(|file| !file.is_empty()) {
        let path = Path::new(text);
        let found = pretrained::whole_text_encoder(&weights::open(path, &HOST)?, path)?;
        let sizes = [("embedding", found.embedding), ("words_dim", found.words_dim)];
        cfg = cfg.with(&sizes.map(|(key, size)| format!("text.{key}={size}")))?;
    }
    Ok(cfg)
}

/// The flags that are settings under another name, over the given settings.
fn overrides(args: &RunArgs, more: &[String]) -> Result<Vec<String>> {
    let mut all = args.set.clone();
    all.extend(args.data.as_deref().map(|path| path_setting("data.path", path)).transpose()?);
    all.extend(args.seed.map(|n| format!("seed={n}")));
    all.extend(args.compute.device.map(|device| format!("device={device}")));
    all.extend_from_slice(more);
    Ok(all)
}

/// Settings that a resumed run may change: none of them changes a tensor's shape or what batches hold.
const RESUMABLE: [&str; 7] =
    ["train.", "loss.", "evaluate.", "damsm.epochs", "generator_opt.lr", "discriminator_opt.lr", "device"];

/// The configuration that a run was started with, and over it what may be changed: how it continues.
fn resumed_config(settings: &[String], path: &Path) -> Result<RunConfig> {
    let run = RunDir::open(path)?;
    let text = std::fs::read_to_string(run.config()).with_context(|| run.config().display().to_string())?;
    let wanted = RunConfig::from_toml(&text)?.with(settings)?;
    if !run::list(&run.checkpoints()).is_ok_and(|found| found.is_empty()) {
        let (saved, _) = Checkpoint::load_latest_part(&run.checkpoints(), &[])?;
        let saved = RunConfig::from_toml(&saved.get::<String>("config")?)?;
        let mut differing = run::diff_config(&saved.to_toml()?, &wanted.to_toml()?)?;
        differing.retain(|key| !RESUMABLE.iter().any(|r| key.starts_with(r)));
        if !differing.is_empty() {
            bail!(
                "{}: its checkpoint was trained with another configuration; these keys differ: {}. Resume without \
                 them, or start a new run",
                path.display(),
                differing.join(", ")
            );
        }
    }
    Ok(wanted)
}

/// What a run will do and how long that takes here; one that is resumed needs its own folder only.
fn describe(cfg: &RunConfig, data: &Dataset, resumed: Option<&Path>, device: &Device) -> Result<String> {
    let (train, held_out) = (data.split(Split::Train).len(), data.split(Split::HeldOut).len());
    let (encoders, trained) = match resumed.map(RunDir::open).transpose()? {
        Some(run) if run.tokenizer().is_file() => {
            (Encoders::kept(cfg, &run, device)?, !cfg.encoders.is_empty())
        }
        _ => Encoders::starting(cfg, data, device)?,
    };
    let mut e = estimate(cfg, &encoders, train)?;
    if trained {
        e.damsm = std::time::Duration::ZERO;
    }
    let mut text = format!(
        "preset {}: images of {:?} pixels, {train} to train on and {held_out} held out, batch {}, {} steps\n",
        cfg.preset,
        cfg.sides(),
        cfg.loader.batch,
        cfg.train.steps
    );
    for (name, count) in &e.sizes {
        text += &format!("  {name:<18} {:>9.3} M parameters\n", *count as f64 / 1e6);
    }
    text += &format!(
        "expected on this machine: about {} (encoders {}, GAN {})",
        format_duration((e.damsm + e.gan).as_secs_f64()),
        format_duration(e.damsm.as_secs_f64()),
        format_duration(e.gan.as_secs_f64())
    );
    Ok(text)
}
