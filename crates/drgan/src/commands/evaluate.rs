//! `drgan evaluate`.
use super::common::{open_data, open_device, open_trained, report, use_threads, utf8, write};
use crate::cli::EvaluateArgs;
use crate::report::text;
use crate::signals::Stop;
use anyhow::Result;
use drgan_train::evaluate::Evaluator;

pub(super) fn run(args: &EvaluateArgs, stop: &Stop) -> Result<()> {
    use_threads(&args.compute)?;
    let device = open_device(&args.compute, args.precision)?;
    let mut trained = open_trained(args.run.as_deref(), &device)?;
    trained.cfg.precision = args.precision;
    let asked = &mut trained.cfg.evaluate;
    asked.samples = args.samples.unwrap_or(asked.samples);
    asked.seeds = args.seeds.unwrap_or(asked.seeds);
    if let Some(path) = &args.data {
        trained.move_data(utf8("data.path", path)?)?;
    }
    let data = open_data(&trained.cfg)?;
    trained.check_data(&data)?;
    let encoders = trained.encoders()?;
    let evaluator = Evaluator::new(&trained.cfg, &encoders, &data)?;
    let evaluation = evaluator.evaluate(&trained.model, trained.step, &trained.history)?;
    let _whole = stop.hold();
    write(&trained.run().evaluation(), &serde_json::to_string_pretty(&evaluation)?)?;
    report(&text::table(&evaluation));
    Ok(())
}
