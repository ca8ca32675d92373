//! `drgan inspect`.
use crate::cli::InspectArgs;
use crate::report::weights as report;
use anyhow::Result;
use drgan_tensor::device::HOST;
use drgan_tensor::weights;
use drgan_train::import;

pub(super) fn run(args: &InspectArgs) -> Result<()> {
    let opened = weights::open(&args.file, &HOST)?;
    let mut text = report::table(&opened, &args.file)?;
    if !report::is_checkpoint(&opened) {
        text += &match import::fit(&opened.shapes(), None) {
            Ok(found) => report::import(&found),
            Err(e) => e.to_string(),
        };
    }
    Ok(drgan_terminal::result(text)?)
}
