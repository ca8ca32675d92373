//! One of the two programs: started, asked for an iteration at a time, waiting on its input in between.
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program that speaks the protocol of benches/pytorch.
pub(super) struct Side {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Resident memory when everything was built and checked, in bytes.
    pub(super) at_start: u64,
}

impl Side {
    /// Starts it and waits until it is ready: its networks built, its first outputs written.
    pub(super) fn start(name: &'static str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = command.spawn();
        let mut child = started.with_context(|| format!("could not start {command:?}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { bail!("{name}: no pipes") };
        let mut side = Self { name, child, input, output: BufReader::new(output), at_start: 0 };
        let line = side.line()?;
        side.at_start = line
            .strip_prefix("ready ")
            .and_then(|bytes| bytes.parse().ok())
            .with_context(|| format!("{name} said `{line}`, not `ready BYTES`"))?;
        Ok(side)
    }

    /// `times` iterations one behind the other; the seconds of one.
    pub(super) fn run(&mut self, times: u16) -> Result<f64> {
        let all = self.ask(&format!("run {times}"))?;
        let all: f64 = all.parse().with_context(|| format!("{} gave no seconds", self.name))?;
        Ok(all / f64::from(times.max(1)))
    }

    /// Id of the side's process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it; its largest resident memory since it was ready, in bytes.
    pub(super) fn quit(mut self) -> Result<u64> {
        let peak = self.ask("quit")?.parse().with_context(|| format!("{} gave no bytes", self.name))?;
        self.child.wait()?;
        Ok(peak)
    }

    fn ask(&mut self, what: &str) -> Result<String> {
        writeln!(self.input, "{what}").with_context(|| format!("{} has ended", self.name))?;
        self.line()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            let status = self.child.wait()?;
            bail!("{} ended ({status}) before its answer: see its message above", self.name)
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Side {
    /// Nothing is left running, whatever went wrong.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        sh
    }

    #[test]
    fn the_protocol_is_spoken() -> Result<()> {
        let mut side =
            Side::start("it", shell("echo ready 7; read a; echo 0.5; read b; echo 9$a$b >&2; echo 11"))?;
        assert_eq!(side.at_start, 7);
        assert!((side.run(2)? - 0.25).abs() < 1e-12);
        assert_eq!(side.quit()?, 11);
        Ok(())
    }

    #[test]
    fn a_program_that_ends_early_or_talks_otherwise_is_named() {
        let e = Side::start("it", shell("exit 3")).err().expect("it ended").to_string();
        assert!(e.contains("it ended") && e.contains('3'), "{e}");
        let e = Side::start("it", shell("echo hello")).err().expect("not the protocol").to_string();
        assert!(e.contains("hello"), "{e}");
    }
}
