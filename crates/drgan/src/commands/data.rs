//! `drgan data`.
use crate::cli::DataCommand;
use crate::hints;
use crate::report::verification;
use anyhow::{Result, bail};

pub(super) fn run(command: &DataCommand) -> Result<()> {
    match command {
        DataCommand::Emoji(args) => {
            let report = drgan_data::emoji::pack(&args.fluent, &args.emojibase, &args.out)?;
            println!("{report}");
        }
        DataCommand::Verify(args) => {
            let bar = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let found = drgan_data::verify(&args.path, |done, all| {
                if bar && (done % 64 == 0 || done == all) {
                    eprint!("\rreading images: {done} of {all}{}", if done == all { "\n" } else { "" });
                }
            });
            let (report, usable) = verification::report(found, &args.path, &hints::program());
            println!("{report}");
            if !usable {
                bail!("{}: not usable as it is", args.path.display());
            }
        }
    }
    Ok(())
}
