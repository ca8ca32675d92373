//! What a GPU machine is asked first: whether this program computes right on its device, and how fast. `cargo xtask
//! device-check` builds and starts it; `--pack` makes an archive for a machine without Rust.
mod ceilings;
mod child;
mod clock;
mod determinism;
mod golden;
mod ops;
mod options;
mod peer;
mod plan;
mod results;
mod sanitizer;
mod speed;
mod summary;
mod train;
mod watch;
mod work;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use clock::{Clock, STOPPED};
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::ops::testing::device_facts;
use drgan_tensor::ops::{convolutions, limit_candle_threads};
use drgan_terminal::{remark, result};
use options::{Options, Part};
use plan::Check;
use results::{Checked, Item, Results, State};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use summary::Table;

const EXAMPLES: &str = "\
Examples:
  device-check                               all parts on the first GPU; results in ./device-check-results
  device-check --quick                       the same with small sizes: seconds
  device-check --part ops --part golden      whether it computes right
  device-check --part speed --out b200       how fast, and how much of that PyTorch is: --part peer --out b200
  device-check --device cuda:1 --again       anew, on the second GPU

A call with the same --out does what is left, and what has failed again. Ctrl-C and SIGTERM keep what is done.
Exit status: 0 all is right, 1 a part failed, 2 wrong options or a folder that cannot be used, 3 something is left to do, 4 there
is no device to check, 130 or 143 stopped.";

/// Checks a CUDA device: values and gradients, equal bits, golden files, training, memory accesses, speed.
#[derive(Parser)]
#[command(name = "device-check", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// The seconds that are left: this process does the work for one that watches over it.
    #[arg(long, hide = true, value_name = "SECONDS")]
    worker: Option<u64>,
    /// Another process of this call has begun, and was ended.
    #[arg(long, hide = true, requires = "worker")]
    continues: bool,
}

/// Exit status where the options ask for what cannot be done, as clap has it.
const UNUSABLE: u8 = 2;
/// Exit status where nothing failed and something is left to do.
const LEFT: u8 = 3;
/// Exit status where there is no device to check.
const CANNOT: u8 = 4;

fn main() -> ExitCode {
    limit_candle_threads();
    match Cli::try_parse() {
        Ok(cli) => run(&cli).unwrap_or_else(|e| drgan_terminal::failed(&e, |_| false, None)),
        Err(answer) => drgan_terminal::refused(&answer),
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let out = cli.options.out.clone().unwrap_or_else(|| PathBuf::from("device-check-results"));
    match cli.worker {
        Some(seconds) => check(&cli.options, out, Duration::from_secs(seconds), cli.continues),
        None => watch::over(&cli.options, &out),
    }
}

/// Says why the options ask for what cannot be done, and gives the exit status.
fn unusable(why: &str) -> ExitCode {
    remark(format!("error: {why}"));
    ExitCode::from(UNUSABLE)
}

fn check(options: &Options, out: PathBuf, time: Duration, continues: bool) -> Result<ExitCode> {
    let mut clock = Clock::start(time)?;
    let request: DeviceRequest = options.device.parse()?;
    let device = match request.open() {
        Ok(device) => device,
        Err(e) => {
            remark(format!("error: there is no device to check: {e}"));
            return Ok(ExitCode::from(CANNOT));
        }
    };
    let facts = device_facts(&device)?.context("the device says nothing of itself")?;
    let by = convolutions(&device)?.context("the device has no convolutions")?;
    let check = Check { request, device: Checked::new(facts, &by)?, quick: options.quick, out };
    if !continues {
        let Checked { name, convolutions, lacks_cudnn, .. } = &check.device;
        remark(format!("{name}, convolutions by {convolutions}: results go to {}", check.out.display()));
        if let Some(why) = lacks_cudnn {
            remark(format!("warning: without cuDNN convolutions are slower: {why}"));
        }
    }

    let mut parts: Vec<Part> =
        if options.parts.is_empty() { Part::value_variants().to_vec() } else { options.parts.clone() };
    parts.sort_unstable();
    parts.dedup();
    if !continues {
        parts.iter().try_for_each(|part| plan::begin(*part, &check, options.again))?;
    }
    let mut states = Vec::new();
    let mut text = String::new();
    for part in parts {
        let results = plan::run(part, &check, &mut clock, plan_of(part))?;
        states.push((part, results.state()));
        let all = kept(&check);
        text = summary::markdown(&check.device, check.quick, &all);
        summary::write(&check.out, &check.device, check.quick, &all, &text)?;
        if clock.is_stopped() {
            break;
        }
    }
    result(&text)?;
    Ok(ending(&states, clock.is_stopped()))
}

/// Says what failed and what is left, and gives the exit status.
fn ending(states: &[(Part, State)], stopped: bool) -> ExitCode {
    let names = |state: State| {
        let names: Vec<String> =
            states.iter().filter(|(_, of)| *of == state).map(|(part, _)| part.name()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let (failed, left) = (names(State::Failed), names(State::Unfinished));
    if let Some(failed) = &failed {
        remark(format!("FAILED: {failed}"));
    }
    if let Some(left) = &left {
        remark(format!("left to do: {left}; the same command continues"));
    }
    match (stopped, failed, left) {
        (true, ..) => ExitCode::from(STOPPED),
        (_, Some(_), _) => ExitCode::FAILURE,
        (_, _, Some(_)) => ExitCode::from(LEFT),
        _ => ExitCode::SUCCESS,
    }
}

fn plan_of(part: Part) -> fn(&Check) -> Result<plan::Plan<'static>> {
    match part {
        Part::Ops => ops::plan,
        Part::Determinism => determinism::plan,
        Part::Golden => golden::plan,
        Part::Train => train::plan,
        Part::Sanitizer => sanitizer::plan,
        Part::Speed => speed::plan,
        Part::Peer => peer::plan,
    }
}

fn tables(part: Part, items: &[Item]) -> Vec<Table> {
    match part {
        Part::Ops => vec![ops::table(items)],
        Part::Determinism => vec![determinism::table(items)],
        Part::Golden => vec![golden::table(items)],
        Part::Train => vec![train::table(items)],
        Part::Sanitizer => vec![sanitizer::table(items)],
        Part::Speed => speed::tables(items),
        Part::Peer => vec![peer::table(items)],
    }
}

/// What this call and earlier ones have found on this device, by part.
fn kept(check: &Check) -> Vec<(Results, Vec<Table>)> {
    let kept = |part: &Part| {
        let results = Results::kept(&check.out, &Results::new(*part, &check.device, check.quick))?;
        let tables = tables(*part, &results.items);
        Some((results, tables))
    };
    Part::value_variants().iter().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::path::Path;

    fn options(line: &str) -> Result<Options, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.options)
    }

    #[test]
    fn the_command_line_is_well_formed_and_written_as_it_is_read() {
        Cli::command().debug_assert();
        let read = options("x --part speed --part ops --quick --device cuda:3 --out a").expect("options");
        let again = [vec!["x".into()], read.arguments(Path::new("other"))].concat();
        assert_eq!(Cli::try_parse_from(again).map(|cli| cli.options).expect("the same"), read);
        let plain = options("x").unwrap_or_else(|_| unreachable!());
        assert!(plain.arguments(Path::new("other")).contains(&"other".into()));
    }

    #[test]
    fn the_cpu_and_unknown_parts_are_refused() {
        for line in ["x --device cpu", "x --device auto", "x --device cuda:x", "x --part nothing"] {
            assert_eq!(options(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_failure_is_status_1_and_what_is_left_is_3() {
        let status = |states: &[(Part, State)], stopped| format!("{:?}", ending(states, stopped));
        let code = |code: u8| format!("{:?}", ExitCode::from(code));
        let (good, bad) = ((Part::Ops, State::Passed), (Part::Train, State::Failed));
        let (left, none) = ((Part::Speed, State::Unfinished), (Part::Peer, State::Skipped));
        assert_eq!(status(&[good, none], false), code(0));
        assert_eq!(status(&[good, bad, left], false), code(1));
        assert_eq!(status(&[good, left], false), code(3));
        assert_eq!(status(&[good, left], true), code(STOPPED));
    }
}
