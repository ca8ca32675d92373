//! Part `train`: the same training steps on the CPU and on the device.
use crate::clock::Clock;
use crate::plan::{Check, Found, Plan, Planned};
use crate::results::Item;
use crate::summary::Table;
use crate::work::preset;
use anyhow::Result;
use candle_core::Device;
use drgan_benches::Step;
use drgan_tensor::device::HOST;
use serde_json::json;

/// How far the losses of the first step may be apart, relative to the CPU's: sums in another order, through the networks and back.
const FIRST: f64 = 1e-4;
/// The same of any later step. Of 20 steps of `emoji-64`, from weights that differ by a millionth, it is 2e-3 at most.
const LATER: f64 = 2e-2;
/// What learning rates are multiplied by. Adam's first updates have the size of the rate whatever the gradient's: one that is 0
/// but for rounding moves its weight one way or the other. With the rates of a run differences double from step to step.
const RATE: f64 = 0.1;
/// A loss below this is compared as if it were this large.
const LEAST: f64 = 0.1;

pub(crate) fn plan(check: &Check) -> Result<Plan<'static>> {
    let (name, steps) = match (check.quick, check.device.emulated) {
        (false, _) => ("emoji-64", 20),
        (true, false) => ("tiny", 20),
        (true, true) => ("tiny", 1), // seconds each
    };
    let device = check.request.open()?;
    Ok(Plan::Items(vec![Planned::new(format!("{name}, steps: {steps}"), move |clock: &Clock| {
        let (Some(on_cpu), Some(on_device)) =
            (losses(name, steps, &HOST, clock)?, losses(name, steps, &device, clock)?)
        else {
            return Ok(None);
        };
        let apart: Vec<Apart> = on_cpu.iter().zip(&on_device).map(|(a, b)| furthest(a, b)).collect();
        let failed: Vec<String> = apart
            .iter()
            .enumerate()
            .map(|(i, apart)| (i, apart, if i == 0 { FIRST } else { LATER }))
            .filter(|(_, apart, allowed)| apart.difference.is_nan() || apart.difference > *allowed)
            .map(|(i, apart, allowed)| {
                let Apart { loss, difference } = apart;
                format!("step {}: {loss} differs by {difference:.1e}; {allowed} is allowed", i + 1)
            })
            .collect();
        let by_step: Vec<_> = on_cpu
            .iter()
            .zip(&on_device)
            .zip(&apart)
            .map(|((cpu, device), apart)| {
                json!({ "cpu": map(cpu), "device": map(device), "furthest": apart.loss, "difference": apart.difference })
            })
            .collect();
        Ok(Some(Found::unless(&failed, json!({ "allowed": [FIRST, LATER], "steps": by_step }))))
    })]))
}

/// The losses of a step, by name.
type Losses = Vec<(String, f32)>;

fn map(losses: &Losses) -> serde_json::Map<String, serde_json::Value> {
    losses.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

/// The losses of each step from the same start; `None` where time is over before the last.
fn losses(name: &str, steps: usize, device: &Device, clock: &Clock) -> Result<Option<Vec<Losses>>> {
    losses_of(Step::new(&preset(name, &[])?, device)?, steps, clock)
}

fn losses_of(mut step: Step, steps: usize, clock: &Clock) -> Result<Option<Vec<Losses>>> {
    let mut all = Vec::new();
    for _ in 0..steps {
        if clock.over().is_some() {
            return Ok(None);
        }
        all.push(step.run(RATE)?);
    }
    Ok(Some(all))
}

/// The loss of a step that differs most.
struct Apart {
    loss: String,
    difference: f64,
}

fn furthest(on_cpu: &Losses, on_device: &Losses) -> Apart {
    let difference = |a: f32, b: f32| f64::from((a - b).abs()) / f64::from(a.abs()).max(LEAST);
    let all = on_cpu.iter().zip(on_device).map(|((loss, a), (_, b))| (loss, difference(*a, *b)));
    let key = |d: f64| if d.is_nan() { f64::INFINITY } else { d };
    let worst = all.max_by(|a, b| key(a.1).total_cmp(&key(b.1)));
    worst.map_or(Apart { loss: "no loss".into(), difference: f64::NAN }, |(loss, difference)| Apart {
        loss: loss.clone(),
        difference,
    })
}

pub(crate) fn table(items: &[Item]) -> Table {
    let mut table =
        Table::new(["step", "the loss that differs most", "CPU", "device", "relative difference"]);
    let steps = items.iter().filter_map(|item| item.figures["steps"].as_array()).flatten();
    for (i, step) in steps.enumerate() {
        let loss = step["furthest"].as_str().unwrap_or_default();
        let number = |side: &str| step[side][loss].as_f64().map_or_else(|| "-".into(), |x| format!("{x:.5}"));
        let difference = step["difference"]
            .as_f64()
            .map_or_else(|| "NaN".to_owned(), |difference| format!("{difference:.1e}"));
        table.row([(i + 1).to_string(), loss.to_owned(), number("cpu"), number("device"), difference]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    /// Weights that are rounded otherwise, as sums in another order would.
    fn rounded_otherwise(name: &str) -> Result<Step> {
        let step = Step::new(&preset(name, &[])?, &HOST)?;
        let mut networks = vec![&step.networks.generator.store, &step.networks.real_image.store];
        networks.extend(step.networks.discriminators.iter().map(|d| &d.store));
        for store in networks {
            for (_, _, var) in store.all() {
                var.set(&(var.as_tensor() * (1. + 1e-6))?)?;
            }
        }
        Ok(step)
    }

    #[test]
    fn what_is_allowed_covers_rounding_and_not_a_wrong_rate() -> Result<()> {
        let clock = Clock::lasting(std::time::Duration::from_secs(600));
        let all = |step: Step| losses_of(step, 6, &clock)?.context("time is over");
        let exact = all(Step::new(&preset("tiny", &[])?, &HOST)?)?;
        let differ = |other: &[Losses]| -> Vec<f64> {
            exact.iter().zip(other).map(|(a, b)| furthest(a, b).difference).collect()
        };
        let rounded = differ(&all(rounded_otherwise("tiny")?)?);
        assert!(rounded[0] <= FIRST && rounded.iter().all(|d| *d <= LATER), "{rounded:?}");
        let faster = preset("tiny", &["generator_opt.lr=1e-2".to_owned()])?;
        let wrong = differ(&all(Step::new(&faster, &HOST)?)?);
        assert!(wrong.iter().any(|d| *d > LATER), "{wrong:?}");
        Ok(())
    }

    #[test]
    fn the_loss_that_differs_most_is_found_and_nan_is_the_most() {
        let losses = |a: f32, b: f32| vec![("a".to_owned(), a), ("b".to_owned(), b)];
        let apart = furthest(&losses(2., 0.), &losses(2.02, 0.0001));
        assert!(apart.loss == "a" && (apart.difference - 0.01).abs() < 1e-6, "{}", apart.difference);
        let apart = furthest(&losses(2., 1.), &losses(3., f32::NAN));
        assert!(apart.loss == "b" && apart.difference.is_nan());
    }
}
