//! Curves as a drawing: one panel per axis, time above memory, both logarithmic.
use super::{Axis, WORKS};
use std::fmt::Write;

/// Points of one kind of work along one axis.
pub(super) struct Curve {
    /// Index of the work in [`WORKS`] and of its color in [`COLORS`].
    pub(super) color: usize,
    pub(super) axis: Axis,
    pub(super) points: Vec<Dot>,
}

/// A measured point of a curve.
pub(super) struct Dot {
    /// The point's value on the axis.
    pub(super) x: f64,
    /// Time in seconds, and memory in GiB.
    pub(super) of: [f64; 2],
    /// Which of time and memory is not to be relied on.
    pub(super) hollow: [bool; 2],
}

/// Dark enough on white, and told apart without colour vision (Okabe and Ito).
const COLORS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];
const PANEL: (f64, f64) = (270., 210.);
const GAP: (f64, f64) = (24., 76.);
const CORNER: (f64, f64) = (76., 82.);

/// One logarithmic axis: values from `low` to `high` on `length` pixels from `start`.
struct Scale {
    low: f64,
    high: f64,
    start: f64,
    length: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        self.start + self.length * (value / self.low).ln() / (self.high / self.low).ln()
    }
}

/// 1, 2 and 5 of each power of ten: the last at or below `low` to the first at or above `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let all: Vec<f64> = (-6..6).flat_map(|e| [1., 2., 5.].map(|m| m * 10f64.powi(e))).collect();
    let first = all.iter().rposition(|t| *t <= low * 1.001).unwrap_or(0);
    let last = all.iter().position(|t| *t >= high * 0.999).unwrap_or(all.len() - 1);
    all[first..=last.max(first + 1)].to_vec()
}

/// `0.2 s`, `50 ms`; `0.5 GiB`.
fn label(measure: usize, value: f64) -> String {
    match measure {
        0 if value < 0.999 => format!("{:.0} ms", value * 1e3),
        0 => format!("{value:.0} s"),
        _ => format!("{} GiB", (value * 1e3).round() / 1e3),
    }
}

fn title(axis: Axis) -> String {
    let batch = super::BATCH;
    match axis {
        Axis::Batch => "images per batch".to_owned(),
        Axis::Side => format!("side of the image in pixels, batch {batch}"),
        Axis::Words => format!("words per caption, batch {batch}"),
    }
}

fn legend(work: usize) -> String {
    let of = &WORKS[work];
    let what = if of.what == "image" { "drawing" } else { "a training step" };
    format!("{what}, {}", of.preset)
}

/// The drawing, as SVG; of one curve at least.
pub(super) fn svg(curves: &[Curve]) -> String {
    let width = CORNER.0 + 3. * PANEL.0 + 2. * GAP.0 + 20.;
    let height = CORNER.1 + 2. * PANEL.1 + GAP.1 + 48.;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut x = CORNER.0;
    for (work, color) in COLORS.iter().enumerate() {
        line(&mut out, (x, 20.), (x + 28., 20.), &format!("stroke=\"{color}\" stroke-width=\"2\""));
        dot(&mut out, (x + 14., 20.), color, false);
        text(&mut out, (x + 36., 24.), "start", &legend(work));
        x += 200.;
    }
    dot(&mut out, (CORNER.0 + 14., 40.), "#555", true);
    text(&mut out, (CORNER.0 + 36., 44.), "start", "while other programs ran");
    line(&mut out, (x, 20.), (x + 28., 20.), GUIDE);
    text(&mut out, (x + 36., 24.), "start", "in proportion to x (side: to pixels)");
    for (measure, name) in ["time of a batch", "largest resident memory"].into_iter().enumerate() {
        let values = || curves.iter().flat_map(|c| &c.points).map(|d| d.of[measure]);
        let top = CORNER.1 + measure as f64 * (PANEL.1 + GAP.1);
        text(&mut out, (CORNER.0, top - 10.), "start", name);
        let ticks = ticks(values().fold(f64::INFINITY, f64::min), values().fold(0., f64::max));
        let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
        let y = Scale { low, high, start: top + PANEL.1, length: -PANEL.1 };
        for (column, axis) in Axis::ALL.into_iter().enumerate() {
            let left = CORNER.0 + column as f64 * (PANEL.0 + GAP.0);
            panel(&mut out, curves, (measure, axis), &y, left, &ticks);
        }
    }
    out.push_str("</svg>\n");
    out
}

const GUIDE: &str = "stroke=\"#999\" stroke-width=\"1\" stroke-dasharray=\"4 4\"";

fn panel(
    out: &mut String,
    curves: &[Curve],
    (measure, axis): (usize, Axis),
    y: &Scale,
    left: f64,
    ticks: &[f64],
) {
    let values = axis.values();
    let (first, last) = (f64::from(values[0]), f64::from(values[values.len() - 1]));
    let x = Scale { low: first / 1.1, high: last * 1.1, start: left, length: PANEL.0 };
    for &tick in ticks {
        line(out, (left, y.at(tick)), (left + PANEL.0, y.at(tick)), "stroke=\"#e4e4e4\"");
        if axis == Axis::ALL[0] {
            text(out, (left - 8., y.at(tick) + 4.), "end", &label(measure, tick));
        }
    }
    for &value in values {
        let at = x.at(f64::from(value));
        line(out, (at, y.start), (at, y.start + 4.), "stroke=\"#222\"");
        text(out, (at, y.start + 18.), "middle", &value.to_string());
    }
    text(out, (left + PANEL.0 / 2., y.start + 36.), "middle", &title(axis));
    let _ = writeln!(
        out,
        "<rect x=\"{left}\" y=\"{:.1}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#888\"/>",
        y.start + y.length,
        PANEL.0,
        PANEL.1
    );
    for curve in curves.iter().filter(|c| c.axis == axis) {
        let color = COLORS[curve.color];
        let place = |d: &Dot| (x.at(d.x), y.at(d.of[measure]));
        guide(out, curve, measure, &x, y);
        let path: Vec<String> =
            curve.points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        curve.points.iter().for_each(|d| dot(out, place(d), color, d.hollow[measure]));
    }
}

fn dot(out: &mut String, (x, y): (f64, f64), color: &str, hollow: bool) {
    let fill = if hollow {
        format!("fill=\"white\" stroke=\"{color}\" stroke-width=\"1.5\"")
    } else {
        format!("fill=\"{color}\"")
    };
    let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" {fill}/>");
}

/// From a curve's last point down, as if everything were in proportion; as far as the panel goes.
fn guide(out: &mut String, curve: &Curve, measure: usize, x: &Scale, y: &Scale) {
    let Some(Dot { x: last, of, .. }) = curve.points.last() else { return };
    let power = curve.axis.power();
    let least = x.low.max(last * (y.low / of[measure]).powf(1. / power));
    let height = of[measure] * (least / last).powf(power);
    line(out, (x.at(least), y.at(height)), (x.at(*last), y.at(of[measure])), GUIDE);
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), style: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>");
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_logarithmic() {
        let scale = Scale { low: 1., high: 100., start: 10., length: 200. };
        assert!((scale.at(10.) - 110.).abs() < 1e-9);
        assert_eq!(ticks(0.03, 0.9), [0.02, 0.05, 0.1, 0.2, 0.5, 1.]);
        assert_eq!(ticks(2., 2.), [2., 5.]);
        assert_eq!(
            (label(0, 0.05), label(0, 20.), label(1, 0.2)),
            ("50 ms".into(), "20 s".into(), "0.2 GiB".into())
        );
    }

    #[test]
    fn every_dot_lies_in_its_panel() {
        let points =
            |n: &[f64]| n.iter().map(|&x| Dot { x, of: [0.1 * x, 0.2 + x], hollow: [false; 2] }).collect();
        let curves = [
            Curve { color: 0, axis: Axis::Batch, points: points(&[1., 32.]) },
            Curve { color: 2, axis: Axis::Words, points: points(&[40.]) },
        ];
        let svg = svg(&curves);
        let number = |line: &str, name: &str| -> f64 {
            let (_, rest) = line.split_once(&format!("{name}=\"")).expect(name);
            rest.split('"').next().and_then(|n| n.parse().ok()).expect(name)
        };
        let dots: Vec<&str> =
            svg.lines().filter(|l| l.starts_with("<circle")).skip(COLORS.len() + 1).collect();
        assert_eq!(dots.len(), 6);
        for dot in dots {
            let (x, y) = (number(dot, "cx"), number(dot, "cy"));
            assert!(x > CORNER.0 && x < CORNER.0 + 3. * PANEL.0 + 2. * GAP.0, "{dot}");
            assert!(y >= CORNER.1 && y <= CORNER.1 + 2. * PANEL.1 + GAP.1, "{dot}");
        }
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }
}
