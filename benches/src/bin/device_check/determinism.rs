//! Part `determinism`: the same work twice gives the same bits.
use crate::clock::Clock;
use crate::ops::{Way, calls, sizes};
use crate::plan::{Check, Found, Plan, Planned};
use crate::results::{Item, Outcome};
use crate::summary::Table;
use crate::work::preset;
use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use drgan_benches::Step;
use drgan_tensor::device::HOST;
use drgan_tensor::ops::Precision;
use drgan_tensor::ops::testing::Operation;
use serde_json::{Value, json};

/// Training steps that are compared.
const STEPS: usize = 3;

pub(crate) fn plan(check: &Check) -> Result<Plan<'static>> {
    let mut items = Vec::new();
    for precision in [Precision::F32, Precision::Bf16] {
        let ways = Way::all(check, precision)?;
        // The largest size: more blocks than run at once.
        let Some((named, size)) = sizes(check.quick).last() else { continue };
        for (operation, way) in calls(*size, &ways) {
            let (name, device) =
                (format!("{precision}, {named}: {}", way.name(&operation)), way.device.clone());
            items.push(Planned::new(name, move |_: &Clock| twice(|| of_operation(&operation, &device))));
        }
    }
    let precisions: &[Precision] = if check.quick { &[Precision::F32] } else { &Precision::ALL };
    let is_slow = check.device.emulated;
    for &precision in precisions {
        let (name, request) = (if check.quick { "tiny" } else { "emoji-64" }, check.request);
        items.push(Planned::new(format!("{precision}: {STEPS} steps of {name}"), move |clock: &Clock| {
            if is_slow {
                let why = "steps take the emulated device too long; tests of the program compare a run's bits there";
                let outcome = Outcome::Skipped(why.to_owned());
                return Ok(Some(Found { outcome, figures: Value::Null }));
            }
            let device = request.open_with(precision)?;
            let first = of_steps(name, &device)?;
            if clock.over().is_some() {
                return Ok(None);
            }
            same(&first, &of_steps(name, &device)?)
        }));
    }
    Ok(Plan::Items(items))
}

/// The bits of tensors, with their names.
type Bits = Vec<(String, Vec<u64>)>;

fn twice(work: impl Fn() -> Result<Bits>) -> Result<Option<Found>> {
    same(&work()?, &work()?)
}

fn same(first: &Bits, second: &Bits) -> Result<Option<Found>> {
    let differ: Vec<String> = first
        .iter()
        .zip(second)
        .filter(|(a, b)| a != b)
        .map(|((name, a), (_, b))| {
            let n = a.iter().zip(b).filter(|(a, b)| a != b).count();
            format!("{name}: {n} of {} values have other bits the second time", a.len())
        })
        .collect();
    Ok(Some(Found::unless(&differ, json!({ "tensors": first.len() }))))
}

/// The bits of a tensor in f32 or f64.
fn bits(t: &Tensor) -> Result<Vec<u64>> {
    // Each f32 is an f64 with bits of its own.
    let values = t.to_device(&HOST)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    Ok(values.into_iter().map(f64::to_bits).collect())
}

fn of_operation(operation: &Operation, device: &Device) -> Result<Bits> {
    let found = operation.evaluate(device, DType::F32)?;
    found.named().map(|(name, tensor)| Ok((name, bits(tensor)?))).collect()
}

/// Losses of a few steps from the same start, and the weights after them.
fn of_steps(name: &str, device: &Device) -> Result<Bits> {
    let mut step = Step::new(&preset(name, &[])?, device)?;
    let mut all = Vec::new();
    for i in 0..STEPS {
        for (loss, value) in step.run(1.)? {
            all.push((format!("{loss} of step {}", i + 1), vec![value.to_bits().into()]));
        }
    }
    let networks = &step.networks;
    let stores = [("generator", &networks.generator.store), ("average", networks.ema.average())];
    let discriminators = networks.discriminators.iter().map(|d| ("discriminator", &d.store));
    for (network, store) in stores.into_iter().chain(discriminators) {
        for (tensor, values) in store.views() {
            all.push((format!("{network} {tensor}"), bits(&values)?));
        }
    }
    Ok(all)
}

pub(crate) fn table(items: &[Item]) -> Table {
    let mut table = Table::new(["twice", "tensors with equal bits"]);
    let tensors = |item: &Item| item.figures["tensors"].as_u64().unwrap_or_default();
    let (steps, operations): (Vec<&Item>, Vec<&Item>) =
        items.iter().partition(|item| item.name.contains("steps of"));
    table.row([
        format!("{} operations", operations.len()),
        operations.iter().map(|i| tensors(i)).sum::<u64>().to_string(),
    ]);
    for item in steps.into_iter().filter(|item| item.figures.is_object()) {
        table.row([item.name.clone(), tensors(item).to_string()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_other_bit_is_seen() -> Result<()> {
        let of = |x: f32| vec![("a".to_owned(), vec![u64::from(x.to_bits()), 1])];
        let outcome = |b: f32| Ok::<_, anyhow::Error>(same(&of(0.), &of(b))?.map(|found| found.outcome));
        assert_eq!(outcome(0.)?, Some(Outcome::Passed));
        let Some(Outcome::Failed(why)) = outcome(-0.)? else { panic!("-0 has another bit than 0") };
        assert_eq!(why, "a: 1 of 2 values have other bits the second time");
        Ok(())
    }

    #[test]
    fn steps_on_the_cpu_have_the_same_bits_twice() -> Result<()> {
        let found = twice(|| of_steps("tiny", &HOST))?;
        assert_eq!(found.map(|found| found.outcome), Some(Outcome::Passed));
        Ok(())
    }
}
