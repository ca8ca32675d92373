//! How the user calls this program, and commands of it by that name.
use crate::cli::Cli;
use clap::CommandFactory;
use drgan_terminal::CommandLine;

/// Names the program in the commands that it shows, where it was started through another one.
const INVOKED_AS: &str = "DRGAN_INVOKED_AS";

/// How the user calls this program: `drgan`, or what started it says, e.g. `cargo xtask`.
pub(crate) fn program() -> String {
    std::env::var(INVOKED_AS).unwrap_or_else(|_| "drgan".to_owned())
}

/// A command of this program, e.g. `train` or `data verify`, to be shown.
pub(crate) fn command(name: &str) -> CommandLine {
    CommandLine::new(&program(), name)
}

/// The parser of the command line, whose usage and examples begin with `program`.
pub(crate) fn parser(program: &str) -> clap::Command {
    named(Cli::command(), program).bin_name(program)
}

fn named(command: clap::Command, program: &str) -> clap::Command {
    let examples = command.get_after_help().map(|text| text.to_string());
    let command = command.mut_subcommands(|sub| named(sub, program));
    match examples {
        Some(text) => command.after_help(text.replace("\n  drgan ", &format!("\n  {program} "))),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_and_examples_name_the_program_as_it_was_called() {
        let mut parser = parser("cargo xtask");
        parser.build();
        let train = parser.find_subcommand_mut("train").unwrap().render_long_help().to_string();
        assert!(train.contains("Usage: cargo xtask train [OPTIONS]"), "{train}");
        assert!(train.contains("\n  cargo xtask train --preset tiny"), "{train}");
        let data = parser.find_subcommand_mut("data").unwrap();
        let verify = data.find_subcommand_mut("verify").unwrap().render_long_help().to_string();
        assert!(verify.contains("Usage: cargo xtask data verify"), "{verify}");
        assert!(verify.contains("\n  cargo xtask data verify data/birds"), "{verify}");
        for help in [&train, &verify] {
            assert!(!help.contains("  drgan "), "{help}");
        }
    }
}
