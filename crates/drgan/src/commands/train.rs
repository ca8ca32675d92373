//! `drgan train`.
use super::common::{command_line, path_setting, sinks, write};
use super::prepare::{Phases, Prepared, prepare};
use crate::cli::TrainArgs;
use crate::interrupt;
use crate::report::text;
use anyhow::Result;
use drgan_train::events::Event;
use drgan_train::session::{Outcome, Session};

pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let mut settings: Vec<String> = args.steps.map(|n| format!("train.steps={n}")).into_iter().collect();
    for (key, path) in [
        ("run", &args.encoders),
        ("text", &args.text_encoder),
        ("image", &args.image_encoder),
        ("vocabulary", &args.vocabulary),
    ] {
        settings
            .extend(path.as_deref().map(|path| path_setting(&format!("encoders.{key}"), path)).transpose()?);
    }
    let Some(Prepared { cfg, data, run }) =
        prepare(&args.run, &settings, Phases { gan: true, evaluate: !args.no_evaluate })?
    else {
        return Ok(());
    };
    let mut sinks = sinks(&run)?;
    let interrupt = interrupt::install()?;
    sinks.emit(&Event::Message { text: format!("run folder {}", run.path().display()) });
    let mut session = Session {
        cfg: &cfg,
        run: &run,
        sinks: &mut sinks,
        interrupt: &interrupt,
        evaluate: !args.no_evaluate,
    };
    let folder = run.path().display();
    match session.train(&data)? {
        Outcome::Interrupted { step, checkpoint } => {
            let at = checkpoint.map_or_else(
                || "before the first checkpoint".to_owned(),
                |p| format!("checkpoint {}", p.display()),
            );
            println!("stopped at step {step}: {at}");
            println!("continue with: {}", command_line(&format!("train --resume {folder}")));
        }
        Outcome::Finished { grid, checkpoint, evaluation } => {
            if let Some(e) = evaluation {
                write(&run.evaluation(), &serde_json::to_string_pretty(&*e)?)?;
                println!("{}", text::table(&e));
            }
            println!("sample grid  {}", grid.display());
            println!("checkpoint   {}", checkpoint.display());
            println!("log          {}", run.log().display());
            let caption = match cfg.data.path.as_str() {
                "" => "a red heart",
                _ => &data.records()[0].captions[0],
            };
            println!("draw with: {}", command_line(&format!("sample {caption:?} --run {folder}")));
        }
        other => println!("{other:?}"),
    }
    Ok(())
}
