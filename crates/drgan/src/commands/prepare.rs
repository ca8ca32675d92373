//! What stands before both phases of training: settings, data, the run's folder.
use super::common::{open_data, path_setting, tell, use_threads};
use crate::cli::RunArgs;
use crate::signals::Stop;
use anyhow::{Result, bail};
use candle_core::Device;
use drgan_data::{COLOR_TAG, Dataset, Split};
use drgan_infer::pretrained;
use drgan_tensor::device::{HOST, Opened, is_out_of_device_memory};
use drgan_tensor::internal::{counted, shown};
use drgan_tensor::ops::free_memory;
use drgan_tensor::weights;
use drgan_terminal::remark;
use drgan_train::config::{GivenEncoders, Overrides, RunConfig};
use drgan_train::damsm::{CaptionSurvey, Encoders};
use drgan_train::events::format_duration;
use drgan_train::run::{self, Checkpoint, LockedRun, RunDir};
use drgan_train::session::{
    Progress, Workload, available_memory, check_data, check_resumed, estimate, require_memory,
};
use drgan_train::starting_model;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A run that can start.
pub(super) struct Prepared {
    pub(super) cfg: RunConfig,
    pub(super) data: Arc<Dataset>,
    pub(super) run: LockedRun,
}

/// What a command does after the encoders are there.
#[derive(Clone, Copy)]
pub(super) struct Phases {
    pub(super) gan: bool,
    pub(super) evaluate: bool,
}

/// Nothing if only the settings were asked for; `settings` are a command's own, over all others.
pub(super) fn prepare(
    args: &RunArgs,
    settings: &[String],
    phases: Phases,
    stop: &Stop,
) -> Result<Option<Prepared>> {
    use_threads(&args.compute)?;
    let settings = overrides(args, settings)?;
    // Before anything of the run is read: another process may be changing it.
    let locked = match &args.resume {
        Some(run) if !args.dry_run => Some(RunDir::open(run)?.lock()?),
        _ => None,
    };
    let cfg = match &args.resume {
        Some(run) => resumed_config(&settings, run)?,
        // Preset, file, `--set`, then the flags that have their own names. A resumed run has its encoders' settings already.
        None => with_given_sizes(
            RunConfig::resolve(&args.preset, &Overrides { file: args.config.as_deref(), set: &settings })?,
            &settings,
        )?,
    };
    if !phases.gan && cfg.damsm.epochs == 0 {
        bail!("config `damsm.epochs`: 0, and so nothing to train; give at least 1");
    }
    let Opened { device, notes, .. } = cfg.open_device()?;
    if args.dry_run {
        // A session tells them itself, into the run's log too.
        tell(&notes);
    }
    let data = open_data(&cfg)?;
    let progress = match &args.resume {
        Some(run) => {
            let run = RunDir::open(run)?;
            let progress = Progress::of_run(&run)?;
            check_resumed(&cfg, &run, &data, progress, phases.gan)?;
            progress
        }
        None => {
            check_data(&cfg, &data)?;
            Progress::default()
        }
    };
    note_unknown_tag(&cfg, &data);
    // Before anything is built: what does not fit ends the process, and says nothing.
    let memory = memory(&cfg, &data, &device, phases, args)?;
    let described = describe(&cfg, &data, args, &device, (phases, progress));
    if args.dry_run {
        // The settings, and that they do not fit, are told although a step could not be tried.
        let described = described.or_else(|e| match is_out_of_device_memory(&format!("{e:#}")) {
            true => {
                let told = format!("{}\n{memory}", cfg.to_toml()?);
                Err(drgan_terminal::result(told).map_or_else(Into::into, |()| e))
            }
            false => Err(e),
        })?;
        if args.resume.is_none() {
            // Nothing is left of a run that is not kept.
            drop(RunDir::create(args.out.as_deref(), &cfg.preset, cfg.seed)?);
        }
        drgan_terminal::result(format!("{}\n{described}\n{memory}", cfg.to_toml()?))?;
        return Ok(None);
    }
    let described = described?;
    // From here on the run's folder is there.
    let _whole = stop.hold();
    let run = match locked {
        Some(run) => run,
        None => RunDir::create(args.out.as_deref(), &cfg.preset, cfg.seed)?,
    };
    remark(format!("{described}\n{memory}"));
    Ok(Some(Prepared { cfg, data, run }))
}

/// A model that the run starts from brings its sizes, encoders of another run or of files the settings they were trained with;
/// `settings` must not contradict them.
fn with_given_sizes(cfg: RunConfig, settings: &[String]) -> Result<RunConfig> {
    if let Some(model) = starting_model(&cfg, &HOST)? {
        let cfg = cfg.with_sizes_of(model.config());
        let sizes = ["text.", "generator.", "damsm.max_words"];
        return unless_contradicted(cfg, settings, &sizes, "the model", "train without it");
    }
    let mut cfg = cfg;
    if !cfg.encoders.run.is_empty() {
        let run = RunDir::open(Path::new(&cfg.encoders.run))?;
        cfg = cfg.with_encoders_of(&RunConfig::read(&run.config())?);
    }
    let GivenEncoders { text, image, vocabulary, .. } = &cfg.encoders;
    if [text, image, vocabulary].iter().all(|file| !file.is_empty()) {
        let path = Path::new(text);
        let found = pretrained::whole_text_encoder(&weights::open(path, &HOST)?, path)?;
        let sizes = [("embedding", found.embedding), ("words_dim", found.words_dim)];
        cfg = cfg.with(&sizes.map(|(key, size)| format!("text.{key}={size}")))?;
    }
    // How encoders were trained is their run's; what they are decides whether the GAN fits.
    let sizes = ["text.", "image_encoder."];
    let cfg = unless_contradicted(cfg, settings, &sizes, "the given encoders", "train encoders with it")?;
    unused(&cfg, settings).iter().for_each(|text| remark(format!("warning: {text}")));
    Ok(cfg)
}

/// The settings, unless one of `settings` whose key begins with one of `keys` says otherwise than `giver`, which brought them.
fn unless_contradicted(
    cfg: RunConfig,
    settings: &[String],
    keys: &[&str],
    giver: &str,
    otherwise: &str,
) -> Result<RunConfig> {
    let named = |set: &&String| keys.iter().any(|key| set.trim_start().starts_with(key));
    let asked = cfg.with(&settings.iter().filter(named).cloned().collect::<Vec<_>>())?;
    if let Some(key) = run::diff_config(&cfg.to_toml()?, &asked.to_toml()?)?.first() {
        bail!(
            "`{key}` is {} in {giver}, and was set to {}: leave this setting out, or {otherwise}",
            cfg.setting(key)?,
            asked.setting(key)?
        );
    }
    Ok(cfg)
}

/// Settings of how encoders are trained that are given beside trained ones, each with the reason why it is not used.
fn unused(cfg: &RunConfig, settings: &[String]) -> Vec<String> {
    let (why, read): (_, &[&str]) = match cfg.encoders.run.as_str() {
        _ if cfg.encoders.is_empty() => return Vec::new(),
        // AttnGAN's files bring no settings, and the GAN reads these two.
        "" => ("the given encoders are trained already", &["damsm.max_words", "damsm.gammas"]),
        _ => ("the given encoders are trained already, and bring their settings", &[]),
    };
    let keys = settings.iter().filter_map(|set| Some(set.split_once('=')?.0.trim()));
    let keys = keys.filter(|key| key.starts_with("damsm.") && !read.iter().any(|read| key.starts_with(read)));
    keys.map(|key| format!("`{key}` is not used: {why}")).collect()
}

/// Tells of a tag to repeat that no record has; the tag of the default settings need not be there.
fn note_unknown_tag(cfg: &RunConfig, data: &Dataset) {
    let repeat = &cfg.loader.repeat;
    if repeat.times > 1 && repeat.tag != COLOR_TAG && !data.records().iter().any(|r| r.has_tag(&repeat.tag)) {
        let tag = &repeat.tag;
        remark(format!("data: no record has the tag `{tag}` of loader.repeat.tag: none is repeated"));
    }
}

/// The flags that are settings under another name, over the given settings.
fn overrides(args: &RunArgs, more: &[String]) -> Result<Vec<String>> {
    let mut all = args.set.clone();
    all.extend(args.data.as_deref().map(|path| path_setting("data.path", path)).transpose()?);
    all.extend(args.seed.map(|n| format!("seed={n}")));
    all.extend(args.compute.device.map(|device| format!("device={device}")));
    all.extend(args.precision.map(|precision| format!("precision={precision}")));
    all.extend_from_slice(more);
    overridden(&args.set, &all[args.set.len()..]).iter().for_each(|text| remark(format!("warning: {text}")));
    Ok(all)
}

/// What of `--set` is not used, since flags of their own are `given` for the same settings.
fn overridden(set: &[String], given: &[String]) -> Vec<String> {
    let key = |setting: &str| setting.split_once('=').map(|(key, _)| key.trim().to_owned());
    let flag = |set: &&String| given.iter().find(|flag| key(flag).is_some() && key(flag) == key(set));
    let both = set.iter().filter_map(|set| Some((set, flag(&set)?)));
    both.map(|(set, flag)| format!("--set {set} is not used: a flag of its own says {flag}")).collect()
}

/// Settings that a resumed run may change: none of them changes a tensor's shape or what batches hold. The data's path is one more
/// where the run knows them by their contents.
const RESUMABLE: [&str; 8] = [
    "train.",
    "loss.",
    "evaluate.",
    "damsm.epochs",
    "generator_opt.lr",
    "discriminator_opt.lr",
    "device",
    "precision",
];

/// The configuration that a run was started with, and over it what may be changed: how it continues.
fn resumed_config(settings: &[String], path: &Path) -> Result<RunConfig> {
    let run = RunDir::open(path)?;
    let (wanted, kept) = RunConfig::read(&run.config())?.resumed(settings)?;
    for said in kept {
        remark(format!("warning: {said}"));
    }
    if !run::list(&run.checkpoints()).is_ok_and(|found| found.is_empty()) {
        let (saved, _) = Checkpoint::load_latest_part(&run.checkpoints(), &[])?;
        let saved = RunConfig::from_toml(&saved.get::<String>("config")?)?;
        if saved.precision != wanted.precision {
            remark(format!(
                "warning: the run has computed in {} so far, and continues in {}",
                saved.precision, wanted.precision
            ));
        }
        let mut differing = run::diff_config(&saved.to_toml()?, &wanted.to_toml()?)?;
        let moved = |key: &str| key == "data.path" && run.fingerprint().is_file();
        differing.retain(|key| !RESUMABLE.iter().any(|r| key.starts_with(r)) && !moved(key));
        if !differing.is_empty() {
            bail!(
                "{}: its checkpoint was trained with another configuration; these keys differ: {}. Resume without \
                 them, or start a new run",
                shown(path),
                differing.join(", ")
            );
        }
    }
    Ok(wanted)
}

/// How much of the memory that is there a run will take, in a line.
fn memory(
    cfg: &RunConfig,
    data: &Dataset,
    device: &Device,
    phases: Phases,
    args: &RunArgs,
) -> Result<String> {
    let of_device = free_memory(device)?;
    let work = Workload {
        train: data.split(Split::Train).len(),
        encoders: cfg.encoders.is_empty(),
        gan: phases.gan,
        evaluate: phases.evaluate,
        begun: args.resume.is_some(),
        on_device: of_device.is_some(),
    };
    let there = of_device.or_else(available_memory);
    let need = require_memory(cfg, work, there.filter(|_| !args.force))?;
    let gib = |bytes: f64| format!("{:.1} GiB", bytes / (1u64 << 30) as f64);
    let of = there.map_or_else(String::new, |there| format!(" of {}", gib(there as f64)));
    let whose = if of_device.is_some() { " of the device" } else { "" };
    Ok(format!("memory{whose}: about {}{of}", gib(need.peak())))
}

/// What a run will do and how long that takes here; one that is resumed needs its own folder only. A dry run says also what is
/// read of the captions, which others say when they begin.
fn describe(
    cfg: &RunConfig,
    data: &Dataset,
    args: &RunArgs,
    device: &Device,
    (phases, progress): (Phases, Progress),
) -> Result<String> {
    let (train, held_out) = (data.split(Split::Train).len(), data.split(Split::HeldOut).len());
    let (encoders, trained) = match args.resume.as_deref().map(RunDir::open).transpose()? {
        Some(run) if run.tokenizer().is_file() => {
            (Encoders::kept(cfg, &run, device)?, !cfg.encoders.is_empty())
        }
        _ => Encoders::starting(cfg, data, device)?,
    };
    let e = estimate(cfg, &encoders, train)?;
    let [mut encoders_left, gan_left] = progress.left(cfg);
    if trained {
        encoders_left = 0.;
    }
    let time = |all: Duration, left: f64| all.as_secs_f64() * left;
    let (damsm, gan) = (time(e.damsm, encoders_left), if phases.gan { time(e.gan, gan_left) } else { 0. });
    let mut text = format!(
        "preset {}: images of {:?} pixels, {train} to train on and {held_out} held out, batch {}, {}\n",
        cfg.preset,
        cfg.sides(),
        cfg.loader.batch,
        counted(cfg.train.steps, "step[|s]")
    );
    for (name, count) in &e.sizes {
        text += &format!("  {name:<18} {:>9.3} M parameters\n", *count as f64 / 1e6);
    }
    if args.dry_run {
        let survey = CaptionSurvey::new(cfg, data, encoders.captions.tokenizer())?;
        text += &format!("captions: {}\n", survey.length());
        survey.losses().iter().for_each(|loss| text += &format!("warning: {loss}\n"));
    }
    text += &format!("expected on this machine: about {}", format_duration(damsm + gan));
    if phases.gan {
        text += &format!(" (encoders {}, GAN {})", format_duration(damsm), format_duration(gan));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_training_encoders_are_not_used_beside_given_ones() {
        let set = [
            "damsm.epochs=3",
            " damsm.gammas.words = 4",
            "damsm.max_words=9",
            "text.words_dim=256",
            "train.steps=1",
        ];
        let set = set.map(str::to_owned);
        let with = |encoders: &[&str]| {
            let encoders: Vec<String> = encoders.iter().map(|set| (*set).to_owned()).collect();
            unused(&RunConfig::resolve("tiny", &Overrides { file: None, set: &encoders }).unwrap(), &set)
        };
        assert_eq!(with(&[]), Vec::<String>::new());
        let of_run = with(&["encoders.run=a"]);
        assert_eq!(of_run.len(), 3);
        assert!(of_run[0].starts_with("`damsm.epochs` is not used: "), "{}", of_run[0]);
        let files = with(&["encoders.text=a", "encoders.image=b", "encoders.vocabulary=c"]);
        assert_eq!(files, ["`damsm.epochs` is not used: the given encoders are trained already"]);
    }
}
