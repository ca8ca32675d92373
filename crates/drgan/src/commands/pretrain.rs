//! `drgan pretrain`.
use super::common::{report_of_run, sinks};
use super::prepare::{Phases, Prepared, prepare};
use crate::cli::PretrainArgs;
use crate::naming::command;
use crate::signals::Stop;
use anyhow::Result;
use drgan_tensor::internal::shown;
use drgan_terminal::CommandLine;
use drgan_train::RunDir;
use drgan_train::config::RunConfig;
use drgan_train::session::Session;

pub(super) fn run(args: &PretrainArgs, stop: &Stop) -> Result<()> {
    let settings: Vec<String> = args.epochs.map(|n| format!("damsm.epochs={n}")).into_iter().collect();
    let Some(Prepared { cfg, data, run }) =
        prepare(&args.run, &settings, Phases { gan: false, evaluate: false }, stop)?
    else {
        return Ok(());
    };
    let mut sinks = sinks(&run)?;
    let mut session =
        Session { cfg: &cfg, run: &run, sinks: &mut sinks, interrupt: &stop.interrupt, evaluate: false };
    let text = if session.pretrain_only(&data)? {
        let files = [("encoders", run.encoders()), ("vocabulary", run.tokenizer()), ("log", run.log())];
        let files: String =
            files.iter().map(|(what, path)| format!("{what:<12} {}\n", shown(path))).collect();
        format!("{files}train with: {}", next(args, &cfg, &run))
    } else {
        format!("stopped; continue with: {}", command("pretrain").option("--resume", run.path()))
    };
    report_of_run(&mut sinks, &text);
    Ok(())
}

/// The command that trains a GAN with these encoders: what they were trained on, and the settings that do not come with them.
fn next(args: &PretrainArgs, cfg: &RunConfig, run: &RunDir) -> CommandLine {
    let mut next = command("train").option("--preset", &cfg.preset);
    if let Some(file) = &args.run.config {
        next = next.option("--config", file);
    }
    if !cfg.data.path.is_empty() {
        next = next.option("--data", &cfg.data.path);
    }
    let brought = ["image_encoder.", "text.", "damsm.", "encoders."];
    let own = |set: &&String| !brought.iter().any(|part| set.trim_start().starts_with(part));
    next = args.run.set.iter().filter(own).fold(next, |next, set| next.option("--set", set));
    next.option("--encoders", run.path())
}
