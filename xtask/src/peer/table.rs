//! What was measured, as a table for docs/benchmarks.md.
use crate::measure::{self, gib, median, seconds};

/// One line of the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) row: String,
    /// Seconds of each iteration.
    pub(super) drgan: Vec<f64>,
    /// Empty where there is no peer.
    pub(super) peer: Vec<f64>,
    /// Most that the ratio of medians may be; without a peer, most seconds.
    pub(super) target: Option<f64>,
    /// Peak bytes, of this program and the peer's.
    pub(super) memory: Option<(u64, u64)>,
    /// Most that the ratio of peaks may be.
    pub(super) memory_target: Option<f64>,
    /// The share of the computer that other programs had, in each iteration of either side.
    pub(super) others: Vec<f64>,
    /// Images per iteration, where images/s is what counts.
    pub(super) images: Option<u32>,
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

impl Line {
    /// This program's time to the peer's, of medians.
    pub(super) fn ratio(&self) -> Option<f64> {
        (!self.peer.is_empty()).then(|| median(&self.drgan) / median(&self.peer))
    }

    fn memory_ratio(&self) -> Option<f64> {
        self.memory.map(|(drgan, peer)| drgan as f64 / peer as f64)
    }

    fn time(&self, values: &[f64]) -> String {
        let middle = median(values);
        match self.images {
            _ if values.is_empty() => "-".to_owned(),
            Some(n) => format!("{} ({:.1} images/s)", seconds(middle), f64::from(n) / middle),
            None => seconds(middle),
        }
    }

    /// Whether every target that the line has is met.
    fn outcome(&self) -> &'static str {
        let time = self.target.map(|most| self.ratio().unwrap_or_else(|| median(&self.drgan)) <= most);
        let memory = self.memory_target.zip(self.memory_ratio()).map(|(most, ratio)| ratio <= most);
        match (time, memory) {
            (None, None) => "",
            (Some(false), Some(true)) => "time missed, memory met",
            (Some(true), Some(false)) => "time met, memory missed",
            (Some(false), _) | (_, Some(false)) => "missed",
            _ => "met",
        }
    }

    fn cells(&self) -> [String; 11] {
        let number = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.2}"));
        let least = (!self.peer.is_empty()).then(|| least(&self.drgan) / least(&self.peer));
        let target = match (self.target, self.peer.is_empty()) {
            (Some(most), true) => seconds(most),
            (most, _) => number(most),
        };
        let memory_target = self.memory_target.map(|most| format!(" (target {most:.2})")).unwrap_or_default();
        [
            self.row.clone(),
            self.time(&self.drgan),
            self.time(&self.peer),
            number(self.ratio()),
            number(least),
            target,
            self.memory.map_or_else(|| "-".to_owned(), |(drgan, _)| gib(drgan)),
            self.memory.map_or_else(|| "-".to_owned(), |(_, peer)| gib(peer)),
            number(self.memory_ratio()) + &memory_target,
            if self.others.is_empty() {
                "-".to_owned()
            } else {
                format!("{:.0} %", 100. * median(&self.others))
            },
            self.outcome().to_owned(),
        ]
    }
}

/// As Markdown, columns aligned.
pub(super) fn markdown(lines: &[Line]) -> String {
    let head = [
        "row",
        "ours, median",
        "PyTorch, median",
        "ratio",
        "of minima",
        "target",
        "ours, peak",
        "PyTorch, peak",
        "ratio",
        "others",
        "verdict",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(lines.iter().map(|l| l.cells().to_vec()));
    measure::markdown(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(drgan: &[f64], peer: &[f64], target: f64) -> Line {
        let (drgan, peer) = (drgan.to_vec(), peer.to_vec());
        Line { row: "r".into(), drgan, peer, target: Some(target), ..Line::default() }
    }

    #[test]
    fn ratios() {
        let l = line(&[1., 9., 2.], &[4., 5., 4.], 0.5);
        assert_eq!((l.ratio(), l.outcome()), (Some(0.5), "met"));
        assert_eq!(line(&[2.1], &[4.], 0.5).outcome(), "missed");
    }

    #[test]
    fn outcomes_know_memory_and_rows_without_a_peer() {
        let memory = |drgan, peer| Line {
            memory: Some((drgan, peer)),
            memory_target: Some(0.8),
            ..line(&[1.], &[2.], 0.7)
        };
        assert_eq!(memory(8, 10).outcome(), "met");
        assert_eq!(memory(9, 10).outcome(), "time met, memory missed");
        assert_eq!(Line { target: Some(0.4), ..memory(8, 10) }.outcome(), "time missed, memory met");
        assert_eq!(Line { target: None, memory_target: None, ..memory(9, 10) }.outcome(), "");
        let alone = line(&[0.9, 0.8], &[], 1.);
        assert_eq!((alone.ratio(), alone.outcome()), (None, "met"));
        assert_eq!(line(&[1.2], &[], 1.).outcome(), "missed");
    }

    #[test]
    fn the_table_is_markdown() {
        let others = vec![0.02, 0.5, 0.1];
        let batch =
            Line { others, images: Some(16), memory: Some((1 << 30, 2 << 30)), ..line(&[2.], &[4.], 0.67) };
        let table = markdown(&[batch, line(&[0.25], &[], 1.)]);
        let rows: Vec<Vec<&str>> =
            table.lines().map(|l| l.trim_matches('|').split('|').map(str::trim).collect()).collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(
            rows[2],
            [
                "r",
                "2.00 s (8.0 images/s)",
                "4.00 s (4.0 images/s)",
                "0.50",
                "0.50",
                "0.67",
                "1.00 GiB",
                "2.00 GiB",
                "0.50",
                "10 %",
                "met"
            ]
        );
        assert_eq!(rows[3], ["r", "250 ms", "-", "-", "-", "1.00 s", "-", "-", "-", "-", "met"]);
    }
}
