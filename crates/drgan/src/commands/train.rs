//! `drgan train`.
use super::common::{path_setting, report_of_run, sinks, write};
use super::prepare::{Phases, Prepared, prepare};
use crate::cli::TrainArgs;
use crate::naming::command;
use crate::report::text;
use crate::signals::Stop;
use anyhow::Result;
use drgan_tensor::internal::shown;
use drgan_train::session::{Outcome, Session};

pub(super) fn run(args: &TrainArgs, stop: &Stop) -> Result<()> {
    let mut settings: Vec<String> = args.steps.map(|n| format!("train.steps={n}")).into_iter().collect();
    for (key, path) in [
        ("start.model", &args.from_model),
        ("encoders.run", &args.encoders),
        ("encoders.text", &args.text_encoder),
        ("encoders.image", &args.image_encoder),
        ("encoders.vocabulary", &args.vocabulary),
    ] {
        settings.extend(path.as_deref().map(|path| path_setting(key, path)).transpose()?);
    }
    let Some(Prepared { cfg, data, run }) =
        prepare(&args.run, &settings, Phases { gan: true, evaluate: !args.no_evaluate }, stop)?
    else {
        return Ok(());
    };
    let mut sinks = sinks(&run)?;
    let mut session = Session {
        cfg: &cfg,
        run: &run,
        sinks: &mut sinks,
        interrupt: &stop.interrupt,
        evaluate: !args.no_evaluate,
    };
    let outcome = session.train(&data)?;
    let text = match outcome {
        Outcome::Interrupted { step, checkpoint } => {
            let at = checkpoint.map_or_else(
                || "before the first checkpoint".to_owned(),
                |p| format!("checkpoint {}", shown(&p)),
            );
            let again = command("train").option("--resume", run.path());
            let again = if args.no_evaluate { again.flag("--no-evaluate") } else { again };
            format!("stopped at step {step}: {at}\ncontinue with: {again}")
        }
        Outcome::Finished { grid, checkpoint, evaluation } => {
            let mut text = String::new();
            if let Some(e) = evaluation {
                let _whole = stop.hold();
                write(&run.evaluation(), &serde_json::to_string_pretty(&*e)?)?;
                text = text::table(&e) + "\n";
            }
            let files = [("sample grid", grid), ("checkpoint", Some(checkpoint)), ("log", Some(run.log()))];
            for (what, path) in files.iter().filter_map(|(what, path)| Some((what, path.as_ref()?))) {
                text += &format!("{what:<12} {}\n", shown(path));
            }
            let caption = match cfg.data.path.as_str() {
                "" => "a red heart",
                _ => &data.records()[0].captions[0],
            };
            let draw = command("sample").option("--run", run.path()).argument(caption);
            text + &format!("draw with: {draw}")
        }
        other => format!("{other:?}"),
    };
    report_of_run(&mut sinks, &text);
    Ok(())
}
