//! `cargo xtask bench --growth`: how time and memory grow with the batch, the image's side and the caption's words. Each point
//! is a process of its own (benches/src/bin/growth.rs), so that its largest resident memory is its own.
mod plot;

use crate::measure::bystanders::Watch;
use crate::measure::{self, Pace, gib, machine, median, seconds};
use crate::run;
use anyhow::{Context, Result, bail};
use drgan_terminal::{remark, result};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// What a point differs from its neighbours in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Batch,
    Side,
    Words,
}

/// Images of a point on another axis.
const BATCH: u32 = 4;

impl Axis {
    const ALL: [Self; 3] = [Self::Batch, Self::Side, Self::Words];

    /// In names, and what drgan-growth calls it.
    fn key(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Side => "side",
            Self::Words => "words",
        }
    }

    fn values(self) -> &'static [u32] {
        match self {
            Self::Batch => &[1, 2, 4, 8, 16, 32],
            Self::Side => &[64, 128, 256],
            Self::Words => &[1, 5, 10, 20, 40],
        }
    }

    /// Work is expected to be in proportion to this power of the value: to images, pixels, words.
    fn power(self) -> f64 {
        if self == Self::Side { 2. } else { 1. }
    }

    fn amount(self, value: u32) -> f64 {
        f64::from(value).powf(self.power())
    }
}

/// A curve of every panel.
#[derive(Debug)]
struct Work {
    /// `image` or `step`.
    what: &'static str,
    preset: &'static str,
    axes: &'static [Axis],
    runs: u16,
}

static WORKS: [Work; 3] = [
    Work { what: "image", preset: "birds", axes: &Axis::ALL, runs: 7 },
    Work { what: "step", preset: "birds", axes: &Axis::ALL, runs: 3 },
    Work { what: "step", preset: "emoji-64", axes: &[Axis::Batch], runs: 5 },
];

impl Work {
    fn name(&self) -> String {
        format!("{}/{}", self.what, self.preset)
    }
}

/// Where a point stands.
#[derive(Clone, Copy, Debug)]
struct Point {
    work: &'static Work,
    axis: Axis,
    value: u32,
}

impl Point {
    fn name(&self) -> String {
        format!("{}/{}/{}", self.work.name(), self.axis.key(), self.value)
    }

    fn all() -> impl Iterator<Item = Self> {
        WORKS.iter().flat_map(|work| {
            work.axes
                .iter()
                .flat_map(move |&axis| axis.values().iter().map(move |&value| Self { work, axis, value }))
        })
    }

    /// Those whose names start with one of `asked`, part by part; all where nothing is asked for.
    fn chosen(asked: &[String]) -> Result<Vec<Self>> {
        let of = |name: &str, part: &str| name == part || name.starts_with(&format!("{part}/"));
        if let Some(other) = asked.iter().find(|a| !Self::all().any(|p| of(&p.name(), a))) {
            let works: Vec<String> = WORKS.iter().map(Work::name).collect();
            bail!(
                "no point's name starts with `{other}`: they are WORK/AXIS/VALUE, e.g. step/emoji-64/batch/2; works are {}, axes \
                 batch, side and words",
                works.join(", ")
            )
        }
        Ok(Self::all().filter(|p| asked.is_empty() || asked.iter().any(|a| of(&p.name(), a))).collect())
    }

    /// Whether there need not be figures: training refuses a batch of one, and the largest may not fit.
    fn may_fail(&self) -> bool {
        self.work.what == "step" && self.axis == Axis::Batch && (self.value == 1 || self.value > BATCH)
    }

    fn command(&self, program: &Path, threads: u16, runs: Option<u16>) -> Command {
        let mut command = Command::new(program);
        command.args([self.work.what, self.work.preset]);
        command.arg(format!("batch={BATCH}")).arg(format!("{}={}", self.axis.key(), self.value));
        command.arg(format!("threads={threads}")).arg(format!("runs={}", runs.unwrap_or(self.work.runs)));
        measure::pin(&mut command, threads);
        command
    }
}

/// What a point's process measured.
#[derive(Clone, Debug, Default, PartialEq)]
struct Measured {
    seconds: Vec<f64>,
    /// Resident before the first pass, in bytes.
    built: u64,
    /// Largest resident memory after that, in bytes.
    peak: u64,
    /// The share of the computer that other programs had.
    others: Option<f64>,
}

/// More than this share of the computer in others' hands, and a point is worth measuring again.
const DISTURBED: f64 = 0.05;

impl Measured {
    fn disturbed(&self) -> bool {
        self.others.is_some_and(|share| share > DISTURBED)
    }

    fn read(of: &Value) -> Option<Self> {
        let seconds = of["seconds"].as_array()?.iter().filter_map(Value::as_f64).collect();
        let others = of["others"].as_f64();
        Some(Self { seconds, built: of["built"].as_u64()?, peak: of["peak"].as_u64()?, others })
    }

    /// Runs a point's process to its end.
    ///
    /// # Errors
    /// Why there are no figures, e.g. that memory ran out.
    fn measure(mut command: Command) -> Result<Self> {
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("could not start {command:?}"))?;
        let (watch, mut said) = (Watch::start(child.id()), String::new());
        if let Some(out) = &mut child.stdout {
            out.read_to_string(&mut said)?;
        }
        let others = watch.others(); // before it is waited for: a process that is gone has no ticks
        let ended = child.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&ended.stderr);
        let found = serde_json::from_str(&said).ok().and_then(|of| Self::read(&of));
        match (found.filter(|_| ended.status.success()), complaint.lines().next()) {
            (Some(measured), _) => Ok(Self { others, ..measured }),
            (None, Some(line)) => bail!("{}", line.trim_start_matches("Error: ")),
            (None, None) => bail!("it ended without a word ({}): out of memory?", ended.status),
        }
    }
}

/// A point and its figures, or why there are none.
#[derive(Debug)]
struct Row {
    point: Point,
    found: Result<Measured, String>,
}

/// Bytes that the next point of a curve will need, along the line through the last two of `(amount, peak)`.
fn expected(curve: &[(f64, u64)], amount: f64) -> Option<f64> {
    let [.., (x0, y0), (x1, y1)] = *curve else { return None };
    let (y0, y1) = (y0 as f64, y1 as f64);
    Some(y1 + (amount - x1) * (y1 - y0) / (x1 - x0))
}

/// Why a point had better not be started: beside it others should have a quarter of the free memory.
fn too_large(rows: &[Row], point: Point, available: Option<u64>) -> Option<String> {
    let before = |r: &&Row| {
        std::ptr::eq(r.point.work, point.work) && r.point.axis == point.axis && r.point.value < point.value
    };
    let curve: Vec<(f64, u64)> = rows
        .iter()
        .filter(before)
        .filter_map(|r| Some((point.axis.amount(r.point.value), r.found.as_ref().ok()?.peak)))
        .collect();
    let (need, free) = (expected(&curve, point.axis.amount(point.value))?, available? as f64);
    (need > 0.75 * free).then(|| {
        format!(
            "left out: by the points before it needs {:.1} GiB, more than three quarters of the {:.1} that are free",
            need / measure::GIB,
            free / measure::GIB
        )
    })
}

/// Measures the points whose names start with one of `asked`, and prints and writes what was found, beside what earlier calls
/// of the same machine, threads and commit have found of other points.
pub(crate) fn run(pace: Pace, asked: &[String]) -> Result<ExitCode> {
    let (points, threads) = (Point::chosen(asked)?, pace.threads());
    let program = run::build("drgan-growth")?;
    let (machine, folder) = (machine::describe(threads, ""), run::root().join("target/growth"));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let kept = std::fs::read_to_string(folder.join("growth.json")).unwrap_or_default();
    let mut rows = kept_rows(&kept, &machine);
    let (mut failed, order) = (false, |name: String| Point::all().position(|p| p.name() == name));
    for point in points {
        rows.retain(|r| r.point.name() != point.name());
        let found = match too_large(&rows, point, machine::available()) {
            Some(why) => Err(why),
            None => {
                Measured::measure(point.command(&program, threads, pace.runs)).map_err(|e| format!("{e:#}"))
            }
        };
        match &found {
            Ok(f) => remark(format!("{}: {}, {}", point.name(), seconds(median(&f.seconds)), gib(f.peak))),
            Err(why) => remark(format!("{}: {why}", point.name())),
        }
        failed |= found.is_err() && !point.may_fail();
        rows.push(Row { point, found });
        rows.sort_by_key(|r| order(r.point.name()));
        // At once: a call that is broken off leaves what it has found.
        write("growth.json", format!("{:#}\n", as_json(&machine, &rows)))?;
        let curves = curves(&rows);
        if !curves.is_empty() {
            write("growth.svg", plot::svg(&curves))?;
        }
    }
    let mut text = format!("{machine}\n\n{}\n", table(&rows));
    for Row { point, found } in &rows {
        match found {
            Err(why) => text += &format!("{}: {why}\n", point.name()),
            Ok(f) if f.disturbed() => {
                let share = 100. * f.others.unwrap_or_default();
                text += &format!("* {}: other programs had {share:.0} % of the computer\n", point.name());
            }
            Ok(_) => {}
        }
    }
    result(text + &format!("Written: {0}/growth.json, {0}/growth.svg", folder.display()))?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Figures of `json` that were taken where, and with what, today's are.
fn kept_rows(json: &str, machine: &str) -> Vec<Row> {
    let kept: Value = serde_json::from_str(json).unwrap_or_default();
    let points = kept["points"].as_array().filter(|_| kept["machine"] == machine);
    let row = |of: &Value| {
        let point = Point::all().find(|p| of["point"] == p.name())?;
        Some(Row { point, found: Ok(Measured::read(of)?) })
    };
    points.map(|points| points.iter().filter_map(row).collect()).unwrap_or_default()
}

/// One line per value of an axis, two columns per kind of work.
fn table(rows: &[Row]) -> String {
    let works: Vec<&Work> =
        WORKS.iter().filter(|w| rows.iter().any(|r| std::ptr::eq(r.point.work, *w))).collect();
    let mut lines = vec![vec![String::new()]];
    for work in &works {
        lines[0].extend([format!("{} (images/s)", work.name()), "peak".to_owned()]);
    }
    for axis in Axis::ALL {
        for &value in axis.values() {
            let at = |r: &&Row| r.point.axis == axis && r.point.value == value;
            if !rows.iter().any(|r| at(&r)) {
                continue;
            }
            let mut line = vec![format!("{} {value}", axis.key())];
            for work in &works {
                let row = rows.iter().filter(at).find(|r| std::ptr::eq(r.point.work, *work));
                line.extend(match row.and_then(|r| r.found.as_ref().ok()) {
                    Some(f) => {
                        let (images, time) =
                            (if axis == Axis::Batch { value } else { BATCH }, median(&f.seconds));
                        let rate = f64::from(images) / time;
                        let digits = usize::from(rate < 100.);
                        let mark = if f.disturbed() { " *" } else { "" };
                        [format!("{} ({rate:.digits$}){mark}", seconds(time)), gib(f.peak)]
                    }
                    None => ["-".to_owned(), "-".to_owned()],
                });
            }
            lines.push(line);
        }
    }
    measure::markdown(&lines)
}

fn as_json(machine: &str, rows: &[Row]) -> Value {
    let row = |Row { point, found }: &Row| match found {
        Ok(f) => json!({
            "point": point.name(), "seconds": f.seconds, "built": f.built, "peak": f.peak, "others": f.others,
        }),
        Err(why) => json!({ "point": point.name(), "not_measured": why }),
    };
    json!({ "machine": machine, "points": rows.iter().map(row).collect::<Vec<_>>() })
}

/// What is drawn: of each kind of work and axis, those points that have figures.
fn curves(rows: &[Row]) -> Vec<plot::Curve> {
    let mut curves = Vec::new();
    for (color, work) in WORKS.iter().enumerate() {
        for axis in Axis::ALL {
            let of = |r: &&Row| std::ptr::eq(r.point.work, work) && r.point.axis == axis;
            let points = rows.iter().filter(of).filter_map(|Row { point, found }| {
                let f = found.as_ref().ok()?;
                Some(plot::Dot {
                    x: f64::from(point.value),
                    of: [median(&f.seconds), f.peak as f64 / measure::GIB],
                    // Nobody takes memory from a process.
                    hollow: [f.disturbed(), false],
                })
            });
            let points: Vec<_> = points.collect();
            if !points.is_empty() {
                curves.push(plot::Curve { color, axis, points });
            }
        }
    }
    curves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, found: Result<Measured, &str>) -> Row {
        let point = Point::all().find(|p| p.name() == name).expect("a point");
        Row { point, found: found.map_err(str::to_owned) }
    }

    fn measured(time: f64, gib: f64) -> Measured {
        Measured { seconds: vec![time], peak: (gib * measure::GIB) as u64, ..Measured::default() }
    }

    fn rows() -> Vec<Row> {
        let mut rows = vec![row("step/emoji-64/batch/1", Err("at least 2"))];
        let others = Some(0.4);
        rows.push(row("image/birds/words/5", Ok(Measured { others, ..measured(0.8, 0.5) })));
        for (name, time, gib) in [
            ("image/birds/batch/1", 0.1, 0.3),
            ("image/birds/batch/32", 3.2, 2.5),
            ("image/birds/side/64", 0.03, 0.2),
            ("step/emoji-64/batch/2", 0.1, 0.2),
            ("step/emoji-64/batch/4", 0.2, 0.3),
        ] {
            rows.push(row(name, Ok(measured(time, gib))));
        }
        rows
    }

    #[test]
    fn points_are_chosen_by_the_start_of_their_names() -> Result<()> {
        let chosen = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|s| (*s).to_owned()).collect();
            Point::chosen(&asked).map(|points| points.iter().map(Point::name).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["step/emoji-64/batch/2"])?, ["step/emoji-64/batch/2"]);
        assert_eq!(chosen(&["image/birds/side"])?.len(), 3);
        assert_eq!(chosen(&[])?.len(), 2 * (6 + 3 + 5) + 6);
        let e = chosen(&["step/emoji"]).expect_err("half a part").to_string();
        assert!(e.contains("step/emoji-64/batch/2") && e.contains("image/birds"), "{e}");
        Ok(())
    }

    #[test]
    fn a_point_that_will_not_fit_is_left_out() {
        let (rows, gib) = (rows(), 1 << 30);
        let next = Point::all().find(|p| p.name() == "step/emoji-64/batch/32").expect("a point");
        // 0.3 GiB at 4 and 0.05 per image: 1.7 GiB at 32.
        let why = too_large(&rows, next, Some(gib)).expect("not in one GiB");
        assert!(why.contains("1.7 GiB") && why.contains("1.0"), "{why}");
        assert!(too_large(&rows, next, Some(3 * gib)).is_none());
        let first = Point::all().find(|p| p.name() == "step/birds/batch/2").expect("a point");
        assert!(too_large(&rows, first, Some(1)).is_none(), "nothing is known of it");
        let again = Point::all().find(|p| p.name() == "step/emoji-64/batch/4").expect("a point");
        assert!(too_large(&rows, again, Some(1)).is_none(), "one point makes no line");
    }

    #[test]
    fn the_table_has_a_line_a_value_and_gaps_where_nothing_was_measured() {
        let table = table(&rows());
        let line = |start: &str| {
            let found = table.lines().find(|l| l.starts_with(&format!("| {start} "))).expect(start);
            found.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(line("batch 1"), ["batch 1", "100 ms (10.0)", "0.30 GiB", "-", "-"]);
        assert_eq!(line("batch 2")[3..], ["100 ms (20.0)", "0.20 GiB"]);
        assert_eq!(line("side 64")[1], "30 ms (133)");
        assert_eq!(line("words 5")[1], "800 ms (5.0) *", "other programs ran");
        assert!(!table.contains("step/birds") && !table.contains("words 1"), "{table}");
    }

    #[test]
    #[cfg(unix)]
    fn a_process_is_heard_or_its_complaint_kept() -> Result<()> {
        let shell = |script: &str| {
            let mut sh = Command::new("sh");
            sh.args(["-c", script]);
            Measured::measure(sh)
        };
        let found = shell(r#"echo '{"seconds":[0.5,0.25],"built":7,"peak":9}'"#)?;
        assert_eq!((found.seconds, found.built, found.peak), (vec![0.5, 0.25], 7, 9));
        let complaint = |script: &str| shell(script).expect_err("it failed").to_string();
        assert_eq!(complaint("echo Error: at least 2 >&2; exit 1"), "at least 2");
        assert!(complaint("kill -9 $$").contains("memory"));
        Ok(())
    }

    #[test]
    fn what_was_found_is_kept_and_drawn() {
        let (rows, machine) = (rows(), "a machine");
        let kept = as_json(machine, &rows);
        assert_eq!(kept["points"][0]["not_measured"], "at least 2");
        let again = kept_rows(&kept.to_string(), machine);
        assert_eq!(again.len(), rows.len() - 1, "what has no figures is tried again");
        assert_eq!(again[0].found, rows[1].found);
        assert_eq!(again[0].point.name(), rows[1].point.name());
        assert!(kept_rows(&kept.to_string(), "another").is_empty() && kept_rows("", machine).is_empty());
        let svg = plot::svg(&curves(&rows));
        let dots = svg.matches("<circle").count() - WORKS.len() - 1; // but those of the legend
        assert_eq!(dots, 2 * 6, "one of time and one of memory each");
        assert_eq!(
            svg.matches("fill=\"white\" stroke").count(),
            1 + 1,
            "the disturbed one, and the legend's"
        );
    }
}
