//! What every measuring command shares: how it is paced, where it runs, how its figures are written.
pub(crate) mod bystanders;
pub(crate) mod machine;

use clap::Args;
use std::fmt::Write;
use std::process::Command;

/// Group of the command line's measuring modes, which take a [`Pace`].
pub(crate) const MODES: &str = "modes";

/// How often, and with how many threads.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Timed iterations, at most 10000 [default with --peer: 10 of one image, 5 of a batch or a step (of each side); with --growth: 7 of
    /// images, 3 or 5 of a step].
    #[arg(long, value_name = "N", requires = MODES, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) runs: Option<u16>,
    /// Threads [default: physical cores].
    #[arg(long, value_name = "N", requires = MODES, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Pace {
    pub(crate) fn threads(&self) -> u16 {
        self.threads.unwrap_or_else(machine::physical_cores)
    }
}

/// Pins the threads of whatever a program may have started them with.
pub(crate) fn pin(command: &mut Command, threads: u16) {
    for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"] {
        command.env(name, threads.to_string());
    }
}

/// The middle value, or the mean of both.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.,
    }
}

pub(crate) fn seconds(s: f64) -> String {
    if s < 1. { format!("{:.0} ms", s * 1e3) } else { format!("{s:.2} s") }
}

pub(crate) const GIB: f64 = (1u64 << 30) as f64;

pub(crate) fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / GIB)
}

/// A Markdown table, the first row its head, columns aligned.
pub(crate) fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (i, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(out, "| {cell:width$} ");
        }
        out.push_str("|\n");
        if i == 0 {
            widths.iter().for_each(|w| out.extend(["|", &"-".repeat(w + 2)]));
            out.push_str("|\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert!((median(&[3., 1., 2.]) - 2.).abs() < 1e-12);
        assert!((median(&[4., 1., 2., 3.]) - 2.5).abs() < 1e-12);
        assert!(median(&[]).is_nan());
        assert_eq!((seconds(0.0504), seconds(4.386)), ("50 ms".into(), "4.39 s".into()));
        assert_eq!(gib(3 << 29), "1.50 GiB");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = markdown(&[row(["a", "long head"]), row(["longer", "1 µs"])]);
        let widths: Vec<usize> = table.lines().map(|l| l.chars().count()).collect();
        assert!(widths.len() == 3 && widths.windows(2).all(|w| w[0] == w[1]), "{table}");
    }
}
