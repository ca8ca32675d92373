//! `drgan evaluate`.
use super::common::{open_data, open_run, report, use_threads, write};
use crate::cli::EvaluateArgs;
use crate::report::text;
use crate::signals::Stop;
use anyhow::Result;
use drgan_terminal::remark;
use drgan_train::evaluate::Evaluator;
use drgan_train::session::TrainedRun;

pub(super) fn run(args: &EvaluateArgs, stop: &Stop) -> Result<()> {
    use_threads(&args.compute)?;
    let device = args.compute.device.unwrap_or_default().open()?;
    let run = open_run(args.run.as_deref())?;
    let trained = TrainedRun::open(&run, &device)?;
    if let Some(w) = &trained.warning {
        remark(format!("warning: {w}"));
    }
    let data = open_data(&trained.cfg)?;
    let encoders = trained.encoders()?;
    let evaluator = Evaluator::new(&trained.cfg, &encoders, &data)?;
    let evaluation = evaluator.evaluate(&trained.model, trained.step, &trained.history)?;
    let _whole = stop.hold();
    write(&run.evaluation(), &serde_json::to_string_pretty(&evaluation)?)?;
    report(&text::table(&evaluation));
    Ok(())
}
