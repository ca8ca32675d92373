//! What each command of `drgan` does, from its arguments to what it prints.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the commands' results are printed here and nowhere else"
)]
use crate::checkpoint::{self, Checkpoint};
use crate::cli::{
    DataCommand, EvaluateArgs, ImportArgs, InspectArgs, PretrainArgs, RunArgs, SampleArgs, Threads, TrainArgs,
};
use crate::config::{GivenEncoders, Overrides, RunConfig, SplitRule};
use crate::encoders::Encoders;
use crate::estimate::estimate;
use crate::evaluate::Evaluator;
use crate::events::{Event, Sinks, format_duration};
use crate::import::Network;
use crate::interrupt::Interrupt;
use crate::run_dir::RunDir;
use crate::sampler::{Arithmetic, TrainedRun};
use crate::sinks::{Console, Jsonl};
use crate::train::{Outcome, Session};
use crate::{foreign, import as importer, report, sample_grid};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use drgan_data::{Dataset, Loader, Split};
use drgan_tensor::weights;
use drgan_text::{TextEncoderConfig, Tokenize};
use std::path::Path;
use std::sync::Arc;

/// Where runs lie unless `--out` says otherwise.
const RUNS: &str = "runs";

/// What stands before both phases: settings, data, the run's folder.
struct Prepared {
    cfg: RunConfig,
    data: Arc<Dataset>,
    run: RunDir,
}

/// Nothing if only the settings were asked for.
fn prepare(args: &RunArgs, set: &[String]) -> Result<Option<Prepared>> {
    use_threads(args.threads)?;
    let set = overrides(args, set)?;
    let cfg = match &args.resume {
        Some(run) => resumed_config(&set, run)?,
        // Preset, file, `--set`, then the flags that have their own names. A resumed run has their settings already.
        None => with_their_settings(RunConfig::resolve(
            &args.preset,
            &Overrides { file: args.config.as_deref(), set: &set },
        )?)?,
    };
    let data = open_data(&cfg)?;
    Loader::check(&data, Split::Train, &cfg.loader())?;
    if args.dry_run {
        println!("{}", cfg.to_toml()?);
        println!("{}", describe(&cfg, &data, args.resume.as_deref())?);
        return Ok(None);
    }
    let run = match &args.resume {
        Some(path) => RunDir::open(path)?,
        None => RunDir::create(args.out.as_deref(), &cfg.preset, cfg.seed)?,
    };
    write(&run.config(), &cfg.to_toml()?)?;
    eprintln!("{}", describe(&cfg, &data, args.resume.as_deref())?);
    Ok(Some(Prepared { cfg, data, run }))
}

/// Encoders of another run, or of files, bring the settings they were trained with.
fn with_their_settings(mut cfg: RunConfig) -> Result<RunConfig> {
    if !cfg.encoders.run.is_empty() {
        let run = RunDir::open(Path::new(&cfg.encoders.run))?;
        let text =
            std::fs::read_to_string(run.config()).with_context(|| run.config().display().to_string())?;
        let theirs = RunConfig::from_toml(&text)?;
        (cfg.text, cfg.image_encoder, cfg.damsm) = (theirs.text, theirs.image_encoder, theirs.damsm);
    }
    let GivenEncoders { text, image, vocabulary, .. } = &cfg.encoders;
    if [text, image, vocabulary].iter().all(|file| !file.is_empty()) {
        let path = Path::new(&cfg.encoders.text);
        let theirs: TextEncoderConfig =
            foreign::config_of(&weights::open(path, &Device::Cpu)?, Network::TextEncoder, path)?;
        (cfg.text.embedding, cfg.text.words_dim) = (theirs.embedding, theirs.words_dim);
    }
    // Both networks read what the text encoder gives.
    (cfg.generator.text_dim, cfg.discriminator.text_dim) = (cfg.text.words_dim, cfg.text.words_dim);
    Ok(cfg)
}

/// `drgan pretrain`.
///
/// # Errors
/// Everything that stops a run, with what to do.
pub fn pretrain(args: &PretrainArgs) -> Result<()> {
    let set: Vec<String> = args.epochs.map(|n| format!("damsm.epochs={n}")).into_iter().collect();
    let Some(Prepared { cfg, data, run }) = prepare(&args.run, &set)? else { return Ok(()) };
    let mut sinks = Sinks::default().with(Console::default()).with(Jsonl::open(&run.log())?);
    let interrupt = Interrupt::install()?;
    sinks.emit(&Event::Message { text: format!("run folder {}", run.path().display()) });
    let mut session =
        Session { cfg: &cfg, run: &run, sinks: &mut sinks, interrupt: &interrupt, evaluate: false };
    let shown = run.path().display();
    if session.pretrain_only(&data)? {
        println!("encoders     {}", run.encoders().display());
        println!("vocabulary   {}", run.tokenizer().display());
        println!("log          {}", run.log().display());
        let data =
            if cfg.data.path.is_empty() { String::new() } else { format!(" --data {}", cfg.data.path) };
        // Settings of the encoders come with the run.
        let theirs = ["image_encoder.", "text.", "damsm.", "encoders."];
        let others = args.run.set.iter().filter(|set| !theirs.iter().any(|part| set.starts_with(part)));
        let others: String = others.map(|set| format!(" --set {set}")).collect();
        println!("train with: cargo xtask train --preset {}{data}{others} --encoders {shown}", cfg.preset);
    } else {
        println!("stopped; go on with: cargo xtask pretrain --resume {shown}");
    }
    Ok(())
}

/// `drgan train`.
///
/// # Errors
/// Everything that stops a run, with what to do.
pub fn train(args: &TrainArgs) -> Result<()> {
    let mut set: Vec<String> = args.steps.map(|n| format!("train.steps={n}")).into_iter().collect();
    for (key, path) in [
        ("run", &args.encoders),
        ("text", &args.text_encoder),
        ("image", &args.image_encoder),
        ("vocabulary", &args.vocabulary),
    ] {
        set.extend(path.as_deref().map(|path| path_setting(&format!("encoders.{key}"), path)).transpose()?);
    }
    let Some(Prepared { cfg, data, run }) = prepare(&args.run, &set)? else { return Ok(()) };
    let mut sinks = Sinks::default().with(Console::default()).with(Jsonl::open(&run.log())?);
    let interrupt = Interrupt::install()?;
    sinks.emit(&Event::Message { text: format!("run folder {}", run.path().display()) });
    let mut session = Session {
        cfg: &cfg,
        run: &run,
        sinks: &mut sinks,
        interrupt: &interrupt,
        evaluate: !args.no_evaluate,
    };
    match session.train(&data)? {
        Outcome::Interrupted { step, checkpoint } => {
            let at = checkpoint.map_or_else(
                || "before the first checkpoint".to_owned(),
                |p| format!("checkpoint {}", p.display()),
            );
            println!("stopped at step {step}: {at}");
            println!("go on with: cargo xtask train --resume {}", run.path().display());
        }
        Outcome::Finished { grid, checkpoint, evaluation } => {
            if let Some(e) = evaluation {
                write(&run.evaluation(), &serde_json::to_string_pretty(&*e)?)?;
                println!("{}", report::table(&e));
            }
            println!("sample grid  {}", grid.display());
            println!("checkpoint   {}", checkpoint.display());
            println!("log          {}", run.log().display());
            let caption = match cfg.data.path.as_str() {
                "" => "a red heart",
                _ => &data.records()[0].captions[0],
            };
            println!("draw with: cargo xtask sample {caption:?} --run {}", run.path().display());
        }
    }
    Ok(())
}

/// The flags that are settings under another name, as `--set`s over the given ones; `more` are a command's own.
fn overrides(args: &RunArgs, more: &[String]) -> Result<Vec<String>> {
    let mut set = args.set.clone();
    set.extend(args.data.as_deref().map(|path| path_setting("data.path", path)).transpose()?);
    set.extend(args.seed.map(|n| format!("seed={n}")));
    set.extend_from_slice(more);
    Ok(set)
}

fn path_setting(key: &str, path: &Path) -> Result<String> {
    let path = path.to_str().with_context(|| format!("{key}: {}: the path is not UTF-8", path.display()))?;
    Ok(format!("{key}={}", toml::Value::String(path.to_owned())))
}

/// The configuration that a run was started with, and over it what may be changed: how it goes on.
fn resumed_config(set: &[String], path: &Path) -> Result<RunConfig> {
    let run = RunDir::open(path)?;
    let text = std::fs::read_to_string(run.config()).with_context(|| run.config().display().to_string())?;
    let wanted = RunConfig::from_toml(&text)?.with(set)?;
    if !checkpoint::list(&run.checkpoints()).is_ok_and(|found| found.is_empty()) {
        let (saved, _) = Checkpoint::load_latest_part(&run.checkpoints(), &[])?;
        let saved: String = saved.meta("config", &run.checkpoints())?;
        let mut differing = checkpoint::diff_config(&saved, &wanted.to_toml()?)?;
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

/// Settings that a resumed run may change: none of them changes a tensor's shape or what batches hold.
const RESUMABLE: [&str; 6] =
    ["train.", "loss.", "evaluate.", "damsm.epochs", "generator_opt.lr", "discriminator_opt.lr"];

/// `drgan sample`.
///
/// # Errors
/// No run, a caption without a known word, a file that cannot be written.
pub fn sample(args: &SampleArgs) -> Result<()> {
    use_threads(args.threads)?;
    let trained = match (&args.generator, &args.text_encoder, &args.vocabulary) {
        (Some(generator), Some(text_encoder), Some(vocabulary)) => foreign::open(&foreign::Files {
            generator,
            text_encoder,
            vocabulary,
            mask_logit_scale: args.mask_logit_scale,
        })?,
        _ => TrainedRun::open(&open_run(args.run.as_deref())?)?,
    };
    if let Some(w) = &trained.warning {
        eprintln!("warning: {w}");
    }
    let arithmetic = Arithmetic::from(args.precision);
    if matches!(arithmetic, Arithmetic::Packed(precision) if !precision.is_native()) {
        eprintln!("warning: this processor has no AMX units for bf16: drawing in f32");
    }
    for caption in &args.captions {
        let encoded = trained.encoders.tokenizer.encode(caption, trained.cfg.damsm.max_words)?;
        if !encoded.unknown.is_empty() {
            eprintln!(
                "warning: \"{caption}\": not in the vocabulary, ignored: {}",
                encoded.unknown.join(", ")
            );
        }
        if encoded.truncated {
            let n = trained.cfg.damsm.max_words;
            eprintln!("warning: \"{caption}\": only its first {n} known words are used");
        }
    }
    let noise: Vec<u64> = (0..u64::from(args.count)).collect();
    let options = sample_grid::Options { stages: args.stages, attention: args.attention };
    let captions: Vec<&str> = args.captions.iter().map(String::as_str).collect();
    let sampler = trained.sampler(arithmetic)?;
    sample_grid::save(&sampler, &captions, &noise, args.seed, options, &args.out)?;
    let of = match &args.generator {
        Some(file) => file.display().to_string(),
        None => format!("{}, step {}", trained.cfg.preset, trained.step),
    };
    println!("{} ({of}, seed {})", args.out.display(), args.seed);
    Ok(())
}

/// `drgan evaluate`.
///
/// # Errors
/// No run, no data.
pub fn evaluate(args: &EvaluateArgs) -> Result<()> {
    use_threads(args.threads)?;
    let run = open_run(args.run.as_deref())?;
    let trained = TrainedRun::open(&run)?;
    if let Some(w) = &trained.warning {
        eprintln!("warning: {w}");
    }
    let data = open_data(&trained.cfg)?;
    let evaluator = Evaluator::new(&trained.cfg, &trained.encoders, &data)?;
    let evaluation = evaluator.evaluate(&trained.generator, trained.step, trained.early_kid)?;
    write(&run.evaluation(), &serde_json::to_string_pretty(&evaluation)?)?;
    println!("{}", report::table(&evaluation));
    Ok(())
}

/// `drgan data`.
///
/// # Errors
/// The packages cannot be read or the tar cannot be written.
pub fn data(command: &DataCommand) -> Result<()> {
    match command {
        DataCommand::Emoji(args) => {
            let report = drgan_data::emoji::pack(&args.fluent, &args.emojibase, &args.out)?;
            println!("{report}");
        }
        DataCommand::Verify(args) => {
            let bar = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let found = drgan_data::verify(&args.path, |done, all| {
                if bar && (done % 64 == 0 || done == all) {
                    eprint!("\rreading pictures: {done} of {all}{}", if done == all { "\n" } else { "" });
                }
            })?;
            println!("{found}");
            if found.refusal.is_some() {
                bail!("{}: not usable as it is", args.path.display());
            }
        }
    }
    Ok(())
}

/// `drgan inspect`.
///
/// # Errors
/// No weight file.
pub fn inspect(args: &InspectArgs) -> Result<()> {
    let opened = weights::open(&args.file, &Device::Cpu)?;
    print!("{}", importer::table(&opened)?);
    match importer::fit(&opened.shapes(), None) {
        Ok(fit) => print!("{}", importer::report(&fit)),
        Err(e) => println!("{e}"),
    }
    Ok(())
}

/// `drgan import`.
///
/// # Errors
/// No weight file, no network of ours, tensors missing; nothing is written then.
pub fn import(args: &ImportArgs) -> Result<()> {
    let opened = weights::open(&args.file, &Device::Cpu)?;
    let fit =
        importer::fit(&opened.shapes(), args.network).with_context(|| args.file.display().to_string())?;
    print!("{}", importer::report(&fit));
    if !fit.missing.is_empty() {
        bail!(
            "{}: {} tensors of a {} are missing; nothing was written",
            args.file.display(),
            fit.missing.len(),
            fit.network.name()
        );
    }
    let source = args.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let metadata = importer::metadata(&fit, &source)?;
    weights::safetensors::save(&args.out, &importer::contiguous(opened.tensors)?, &metadata)?;
    println!("wrote          {}", args.out.display());
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    Ok(drgan_tensor::weights::file::write_atomic(path, text.as_bytes())?)
}

fn open_data(cfg: &RunConfig) -> Result<Arc<Dataset>> {
    let mut data = match cfg.data.path.as_str() {
        "" if matches!(cfg.preset.as_str(), "birds" | "coco") => {
            bail!(
                "preset {}: give its pictures and captions with --data DIR_OR_TAR (docs/data.md)",
                cfg.preset
            )
        }
        "" => Dataset::embedded()?,
        path => Dataset::open(Path::new(path))?,
    };
    for note in data.notes() {
        eprintln!("data: {note}");
    }
    if cfg.data.split == SplitRule::ByKey {
        data.split_by_key();
    }
    if cfg.data.limit > 0 {
        data.truncate(cfg.data.limit);
    }
    Ok(Arc::new(data))
}

fn open_run(path: Option<&Path>) -> Result<RunDir> {
    match path {
        Some(path) => Ok(RunDir::open(path)?),
        None => Ok(RunDir::latest(Path::new(RUNS))?),
    }
}

/// As many threads as asked for, else as `RAYON_NUM_THREADS` says, else one a physical core.
fn use_threads(threads: Threads) -> Result<()> {
    let n = match threads.threads {
        Some(n) => n.into(),
        None if std::env::var_os("RAYON_NUM_THREADS").is_some() => return Ok(()),
        // Threads of one core share its arithmetic units and its cache; fewer processors may be ours than there are cores.
        None => num_cpus::get_physical().min(num_cpus::get()),
    };
    rayon::ThreadPoolBuilder::new().num_threads(n).build_global().context("--threads")?;
    Ok(())
}

/// What a run will do and how long that takes here; one that goes on needs its own folder only.
fn describe(cfg: &RunConfig, data: &Dataset, resumed: Option<&Path>) -> Result<String> {
    let (train, held_out) = (data.split(Split::Train).len(), data.split(Split::HeldOut).len());
    let (encoders, trained) = match resumed.map(RunDir::open).transpose()? {
        Some(run) if run.tokenizer().is_file() => (Encoders::kept(cfg, &run)?, !cfg.encoders.is_empty()),
        _ => Encoders::starting(cfg, data)?,
    };
    let mut e = estimate(cfg, &encoders, train)?;
    if trained {
        e.damsm = std::time::Duration::ZERO;
    }
    let mut text = format!(
        "preset {}: pictures of {:?} pixels, {train} to train on and {held_out} held out, batch {}, {} steps\n",
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
