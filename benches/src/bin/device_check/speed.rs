//! Part `speed`: images per second of training and sampling, memory, launches, and the time of each kernel beside what the
//! device can do at most.
use crate::ceilings::{Ceilings, measure as ceilings};
use crate::clock::Clock;
use crate::plan::{Check, Found, Plan, Planned};
use crate::results::Item;
use crate::summary::{Table, text};
use crate::work::{Work, works};
use anyhow::Result;
use candle_core::Device;
use drgan_benches::{Inference, Step};
use drgan_tensor::ops::Precision;
use drgan_tensor::ops::testing::{KernelTime, forget_peak_memory, launches, peak_memory, profile};
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often work is done.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Runs before any is timed: kernels are compiled for the device, algorithms set up, memory taken.
    untimed: usize,
    /// Timed runs at least; more until they took `long_enough`.
    least: usize,
    long_enough: Duration,
}

impl Pace {
    fn of(check: &Check) -> Self {
        let pace =
            |untimed, least, seconds| Self { untimed, least, long_enough: Duration::from_secs(seconds) };
        match (check.quick, check.device.emulated) {
            (false, _) => pace(2, 3, 3),
            (true, false) => pace(2, 3, 0),
            // A step takes seconds, whose number says nothing: the run by which kernels are timed has to do.
            (true, true) => pace(0, 0, 0),
        }
    }
}

/// Timed runs at most.
const MOST: usize = 100;
/// Kernels that are shown, the longest first.
const SHOWN: usize = 10;

pub(crate) fn plan(check: &Check) -> Result<Plan<'static>> {
    let precisions: &[Precision] = if check.quick { &[Precision::F32] } else { &Precision::ALL };
    let (known, pace, mut items) = (Rc::new(OnceCell::new()), Pace::of(check), Vec::new());
    for work in works(check.quick) {
        for &precision in precisions {
            let (known, request, quick, work) = (known.clone(), check.request, check.quick, work.clone());
            items.push(Planned::new(name(&work, precision), move |clock: &Clock| {
                let most = match known.get() {
                    Some(most) => most,
                    None => {
                        let most: Ceilings = ceilings(request, quick)?;
                        known.get_or_init(|| most)
                    }
                };
                measure(&work, precision, &request.open_with(precision)?, most, (pace, clock))
            }));
        }
    }
    Ok(Plan::Items(items))
}

/// What a piece of work in a precision is called.
pub(crate) fn name(work: &Work, precision: Precision) -> String {
    format!("{work}, {precision}")
}

/// One training step, or the drawing of a batch, with the device's work done at its end.
fn runner(work: &Work, precision: Precision, device: &Device) -> Result<Box<dyn FnMut() -> Result<()>>> {
    let device = device.clone();
    if work.trains {
        let mut step = Step::new(&work.settings()?, &device)?;
        return Ok(Box::new(move || step.run(1.).map(drop)));
    }
    let inference = Inference::new(&work.settings()?, work.batch, precision, &device)?;
    Ok(Box::new(move || {
        inference.draw()?;
        Ok(device.synchronize()?)
    }))
}

fn measure(
    work: &Work,
    precision: Precision,
    device: &Device,
    most: &Ceilings,
    (pace, clock): (Pace, &Clock),
) -> Result<Option<Found>> {
    let mut run = runner(work, precision, device)?;
    for _ in 0..pace.untimed {
        if clock.over().is_some() {
            return Ok(None);
        }
        run()?;
    }
    forget_peak_memory(device)?;
    let (mut seconds, begun) = (Vec::new(), Instant::now());
    while seconds.len() < pace.least || (begun.elapsed() < pace.long_enough && seconds.len() < MOST) {
        if clock.over().is_some() {
            return Ok(None);
        }
        let start = Instant::now();
        run()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let before = launches(None);
    let (mut whole, start) = (Ok(()), Instant::now());
    let kernels = profile(device, || {
        whole = run();
        Ok(())
    })?;
    whole?;
    let profiled = start.elapsed().as_secs_f64();
    let peak = peak_memory(device)?;
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or(profiled);
    let all = before.zip(launches(None)).map(|(before, after)| after - before);
    let own: usize = kernels.iter().map(|kernel| kernel.launches).sum();
    let in_kernels: f64 = kernels.iter().map(|kernel| kernel.seconds).sum();
    let shown: Vec<Value> =
        kernels.iter().take(SHOWN).map(|kernel| shown(kernel, profiled, precision, most)).collect();
    Ok(Some(Found::passed(json!({
        "milliseconds": median * 1e3, "images_per_second": work.batch as f64 / median, "runs": seconds.len(),
        "peak_bytes": peak, "launches": all, "launches_of_kernels_below": own,
        "most_bytes_per_second": most.bytes, "most_operations_per_second": most.operations(precision),
        "profiled_milliseconds": profiled * 1e3, "in_kernels_below_milliseconds": in_kernels * 1e3, "kernels": shown,
    }))))
}

/// A kernel's time, and its parts of the step, of the bandwidth and of the products that the device can do at most.
fn shown(kernel: &KernelTime, step: f64, precision: Precision, most: &Ceilings) -> Value {
    let part = |work: u64, most: f64| (work > 0).then(|| work as f64 / kernel.seconds / most);
    json!({
        "kernel": kernel.kernel, "launches": kernel.launches, "milliseconds": kernel.seconds * 1e3,
        "of_the_step": kernel.seconds / step, "of_the_bandwidth": part(kernel.bytes, most.bytes),
        "of_the_operations": part(kernel.operations, most.operations(precision)),
    })
}

/// A table of all work, and one of the kernels of each piece of training.
pub(crate) fn tables(items: &[Item]) -> Vec<Table> {
    let mut all = Table::new(["work", "images/s", "ms", "peak MiB", "launches", "of them ours"]);
    let mut tables = Vec::new();
    let items = || items.iter().filter(|item| item.figures.is_object());
    let number = |value: &Value, digits: usize| {
        value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let percent =
        |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |part| format!("{:.1} %", 100. * part));
    for Item { name, figures, .. } in items() {
        let mib = figures["peak_bytes"].as_f64().map(|bytes| bytes / f64::from(1 << 20));
        all.row([
            name.clone(),
            number(&figures["images_per_second"], 1),
            number(&figures["milliseconds"], 2),
            number(&mib.into(), 0),
            text(&figures["launches"]),
            text(&figures["launches_of_kernels_below"]),
        ]);
    }
    tables.push(all);
    for Item { name, figures, .. } in items().filter(|item| item.name.starts_with("train")) {
        let title = format!(
            "{name}: {} ms with events around launches, {} ms in the kernels of this project and of the libraries it calls. The \
             device moves {} GB/s and computes {} GFLOP/s at most.",
            number(&figures["profiled_milliseconds"], 1),
            number(&figures["in_kernels_below_milliseconds"], 1),
            number(&figures["most_bytes_per_second"].as_f64().map(|n| n / 1e9).into(), 0),
            number(&figures["most_operations_per_second"].as_f64().map(|n| n / 1e9).into(), 0),
        );
        let mut table =
            Table::new(["kernel", "launches", "ms", "of the step", "of the bandwidth", "of the FLOP/s"])
                .titled(title);
        for kernel in figures["kernels"].as_array().into_iter().flatten() {
            table.row([
                text(&kernel["kernel"]),
                text(&kernel["launches"]),
                number(&kernel["milliseconds"], 3),
                percent(&kernel["of_the_step"]),
                percent(&kernel["of_the_bandwidth"]),
                percent(&kernel["of_the_operations"]),
            ]);
        }
        tables.push(table);
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use drgan_tensor::device::HOST;

    #[test]
    fn training_and_sampling_are_timed() -> Result<()> {
        let most = Ceilings { bytes: 1e9, operations: [1e9, 2e9, 4e9] };
        let clock = Clock::lasting(Duration::from_secs(600));
        for (work, least) in works(true).iter().zip([0, 2]) {
            let pace = Pace { untimed: 1, least, long_enough: Duration::ZERO };
            let found = measure(work, Precision::F32, &HOST, &most, (pace, &clock))?.context("in time")?;
            assert_eq!(found.figures["runs"], least);
            assert!(found.figures["images_per_second"].as_f64() > Some(0.), "{}", found.figures);
        }
        let (pace, over) =
            (Pace { untimed: 1, least: 1, long_enough: Duration::ZERO }, Clock::lasting(Duration::ZERO));
        assert!(measure(&works(true)[0], Precision::F32, &HOST, &most, (pace, &over))?.is_none());
        Ok(())
    }

    #[test]
    fn a_kernels_parts_are_of_the_step_and_of_the_precisions_most() {
        let most = Ceilings { bytes: 1e9, operations: [1e9, 2e9, 4e9] };
        let kernel =
            KernelTime { kernel: "k".into(), launches: 2, seconds: 0.5, bytes: 250_000_000, operations: 0 };
        let of = shown(&kernel, 2., Precision::Tf32, &most);
        assert_eq!((of["of_the_step"].as_f64(), of["of_the_bandwidth"].as_f64()), (Some(0.25), Some(0.5)));
        assert_eq!(of["of_the_operations"], Value::Null);
        let product = KernelTime { operations: 500_000_000, ..kernel };
        assert_eq!(shown(&product, 2., Precision::Tf32, &most)["of_the_operations"].as_f64(), Some(0.5));
    }
}
