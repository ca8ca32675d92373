//! `drgan pretrain`.
use super::common::{command_line, sinks};
use super::prepare::{Phases, Prepared, prepare};
use crate::cli::PretrainArgs;
use crate::interrupt;
use anyhow::Result;
use drgan_train::events::Event;
use drgan_train::session::Session;

pub(super) fn run(args: &PretrainArgs) -> Result<()> {
    let settings: Vec<String> = args.epochs.map(|n| format!("damsm.epochs={n}")).into_iter().collect();
    let Some(Prepared { cfg, data, run }) =
        prepare(&args.run, &settings, Phases { gan: false, evaluate: false })?
    else {
        return Ok(());
    };
    let mut sinks = sinks(&run)?;
    let interrupt = interrupt::install()?;
    sinks.emit(&Event::Message { text: format!("run folder {}", run.path().display()) });
    let mut session =
        Session { cfg: &cfg, run: &run, sinks: &mut sinks, interrupt: &interrupt, evaluate: false };
    let folder = run.path().display();
    if session.pretrain_only(&data)? {
        println!("encoders     {}", run.encoders().display());
        println!("vocabulary   {}", run.tokenizer().display());
        println!("log          {}", run.log().display());
        let data =
            if cfg.data.path.is_empty() { String::new() } else { format!(" --data {}", cfg.data.path) };
        // The encoders' settings come with the run.
        let brought = ["image_encoder.", "text.", "damsm.", "encoders."];
        let others = args.run.set.iter().filter(|set| !brought.iter().any(|part| set.starts_with(part)));
        let others: String = others.map(|set| format!(" --set {set}")).collect();
        let next = format!("train --preset {}{data}{others} --encoders {folder}", cfg.preset);
        println!("train with: {}", command_line(&next));
    } else {
        println!("stopped; continue with: {}", command_line(&format!("pretrain --resume {folder}")));
    }
    Ok(())
}
