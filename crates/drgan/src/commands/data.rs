//! `drgan data`.
use super::common::report;
use crate::cli::DataCommand;
use crate::naming;
use crate::report::verification;
use crate::signals::Stop;
use anyhow::{Result, bail};
use drgan_tensor::internal::shown;

pub(super) fn run(command: &DataCommand, stop: &Stop) -> Result<()> {
    match command {
        DataCommand::Emoji(args) => {
            let _whole = stop.hold();
            report(&drgan_data::emoji::pack(&args.fluent, &args.emojibase, &args.out)?.to_string());
        }
        DataCommand::Verify(args) => {
            let found = drgan_data::verify(&args.path, |done, all| {
                if done % 64 == 0 || done == all {
                    let end = if done == all { "\n" } else { "" };
                    drgan_terminal::passing(format!("reading images: {done} of {all}{end}"));
                }
            });
            let (report, usable) = verification::report(found, &args.path, &naming::program());
            drgan_terminal::result(report)?;
            if !usable {
                bail!("{}: not usable as it is", shown(&args.path));
            }
        }
    }
    Ok(())
}
