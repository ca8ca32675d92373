//! Part `ops`: every operation on the device beside its reference on the CPU in f64.
use crate::clock::Clock;
use crate::plan::{Check, Found, Plan, Planned};
use crate::results::Item;
use crate::summary::{Table, text};
use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use drgan_tensor::device::HOST;
use drgan_tensor::ops::testing::{Operation, Size, convolve_by_columns, operations};
use drgan_tensor::ops::{Precision, convolutions};
use serde_json::json;

/// How far a value or gradient may be from the exact one, as a part of the largest, where the factors of products are
/// rounded: docs/cuda.md, Precision.
const BF16: f64 = 3. / 256.;

/// Sizes by their names.
pub(crate) fn sizes(quick: bool) -> &'static [(&'static str, Size)] {
    const ALL: [(&str, Size); 3] = [("small", Size::SMALL), ("odd", Size::ODD), ("large", Size::LARGE)];
    if quick { &ALL[..1] } else { &ALL }
}

pub(crate) fn plan(check: &Check) -> Result<Plan<'static>> {
    let mut items = Vec::new();
    for precision in [Precision::F32, Precision::Bf16] {
        let ways = Way::all(check, precision)?;
        for (named, size) in sizes(check.quick) {
            for (operation, way) in calls(*size, &ways) {
                let (name, device) =
                    (format!("{precision}, {named}: {}", way.name(&operation)), way.device.clone());
                let about = [precision.to_string(), (*named).to_owned()];
                let by = operation.convolves.then(|| way.convolutions.clone());
                items.push(Planned::new(name, move |_: &Clock| {
                    let allowed = allowed(&operation, precision);
                    let worst = compare(&operation, &device)?;
                    let figures = json!({
                        "precision": about[0], "size": about[1], "convolutions": by, "operation": operation.name,
                        "tensor": worst.tensor, "error": worst.error, "allowed": allowed,
                    });
                    let failed = (worst.error.is_nan() || worst.error > allowed).then(|| {
                        let Worst { tensor, error } = worst;
                        format!("{tensor} is off by {error:.1e} of the largest; {allowed:.1e} is allowed")
                    });
                    Ok(Some(Found::unless(failed.as_slice(), figures)))
                }));
            }
        }
    }
    Ok(Plan::Items(items))
}

/// A device, and what computes convolutions there.
pub(crate) struct Way {
    pub(crate) device: Device,
    convolutions: String,
}

impl Way {
    /// Both ways that a device has: by cuDNN, where that is used, and by columns, which take what cuDNN has no kernel for.
    pub(crate) fn all(check: &Check, precision: Precision) -> Result<Vec<Self>> {
        let open = |by_columns: bool| -> Result<Self> {
            let device = check.request.open_with(precision)?;
            if by_columns {
                convolve_by_columns(&device);
            }
            let by = convolutions(&device)?.context("the device has no convolutions")?;
            Ok(Self { device, convolutions: by.to_string() })
        };
        let ways = vec![open(false)?, open(true)?];
        let is_one = ways[0].convolutions == ways[1].convolutions;
        Ok(ways.into_iter().take(if is_one { 1 } else { 2 }).collect())
    }

    /// An operation's name; of a convolution, with what computes it.
    pub(crate) fn name(&self, operation: &Operation) -> String {
        if operation.convolves {
            return format!("{}, by {}", operation.name, self.convolutions);
        }
        operation.name.to_owned()
    }
}

/// Every operation, convolutions in each of the ways.
pub(crate) fn calls(size: Size, ways: &[Way]) -> impl Iterator<Item = (Operation, &Way)> {
    operations(size).into_iter().flat_map(move |operation| {
        let ways = if operation.convolves { ways } else { &ways[..1] };
        ways.iter().map(move |way| (operation.clone(), way))
    })
}

/// How far an operation may be off on a device of this precision.
fn allowed(operation: &Operation, precision: Precision) -> f64 {
    if operation.rounds && precision == Precision::Bf16 {
        operation.tolerance.max(BF16)
    } else {
        operation.tolerance
    }
}

/// The result that is furthest from the exact one.
struct Worst {
    tensor: String,
    error: f64,
}

fn compare(operation: &Operation, device: &Device) -> Result<Worst> {
    let (got, want) = (operation.evaluate(device, DType::F32)?, operation.evaluate(&HOST, DType::F64)?);
    ensure!(
        (got.values.len(), got.gradients.len()) == (want.values.len(), want.gradients.len()),
        "the device gives another number of results"
    );
    let mut worst = Worst { tensor: String::new(), error: -1. };
    for ((tensor, got), (_, want)) in got.named().zip(want.named()) {
        let error = error(got, want)?;
        if error.is_nan() || error > worst.error {
            worst = Worst { tensor, error };
        }
        if worst.error.is_nan() {
            break;
        }
    }
    Ok(worst)
}

/// The largest difference as a part of the largest exact value, or of 1; NaN where a value is.
fn error(got: &Tensor, want: &Tensor) -> Result<f64> {
    ensure!(got.dims() == want.dims(), "shape {:?}, expected {:?}", got.dims(), want.dims());
    let values = |t: &Tensor| t.to_device(&HOST)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (got, want) = (values(got)?, values(want)?);
    let largest = want.iter().fold(1f64, |largest, v| largest.max(v.abs()));
    let worse = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
    Ok(got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0., worse) / largest)
}

/// A row per precision, size and way of convolution: the operation nearest to what is allowed.
pub(crate) fn table(items: &[Item]) -> Table {
    let mut table = Table::new([
        "precision",
        "size",
        "convolutions by",
        "operations",
        "nearest to its tolerance",
        "error",
        "allowed",
    ]);
    let mut groups: Vec<(String, Vec<&Item>)> = Vec::new();
    for item in items.iter().filter(|item| item.figures.is_object()) {
        let group = ["precision", "size", "convolutions"].map(|key| text(&item.figures[key])).join(" ");
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, of)) => of.push(item),
            None => groups.push((group, vec![item])),
        }
    }
    let number = |item: &Item, key: &str| item.figures[key].as_f64().unwrap_or(f64::INFINITY);
    let part = |item: &Item| number(item, "error") / number(item, "allowed");
    for (_, of) in groups {
        let Some(worst) = of.iter().max_by(|a, b| part(a).total_cmp(&part(b))) else { continue };
        let figures = &worst.figures;
        table.row([
            text(&figures["precision"]),
            text(&figures["size"]),
            text(&figures["convolutions"]),
            of.len().to_string(),
            format!("{}, {}", text(&figures["operation"]), text(&figures["tensor"])),
            format!("{:.1e}", number(worst, "error")),
            format!("{:.1e}", number(worst, "allowed")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_on_the_cpu_are_near_their_references() -> Result<()> {
        for operation in operations(Size::SMALL) {
            let worst = compare(&operation, &HOST)?;
            let name = operation.name;
            assert!(worst.error >= 0. && worst.error <= operation.tolerance, "{name}: {}", worst.error);
        }
        Ok(())
    }

    #[test]
    fn a_wrong_value_and_a_lost_one_are_seen() -> Result<()> {
        let tensor = |values: &[f64]| Tensor::new(values, &HOST);
        let want = tensor(&[1., -200.])?;
        assert!((error(&tensor(&[3., -200.])?, &want)? - 0.01).abs() < 1e-12);
        assert!(error(&tensor(&[f64::NAN, -200.])?, &want)?.is_nan());
        assert!(error(&tensor(&[1.])?, &want).is_err());
        Ok(())
    }
}
