//! Storages and the tensors that view them.
use super::globals::View;
use super::refusal::Refusal;
use crate::weights::tensors::{self, ElementType};
use candle_core::{Device, Tensor};

/// Values of one type, as they lie in the file: little-endian.
pub(super) struct Raw<'a> {
    pub(super) kind: ElementType,
    pub(super) bytes: &'a [u8],
}

/// The type of a storage's values by the storage's class, such as `torch.FloatStorage`.
pub(super) fn element_type(class: &str) -> Result<ElementType, String> {
    let name = ["torch.", "torch.cuda."].iter().find_map(|module| {
        class.strip_prefix(module)?.strip_suffix("Storage").filter(|name| !name.contains('.'))
    });
    Ok(match name {
        Some("Double") => ElementType::F64,
        Some("Float") => ElementType::F32,
        Some("Half") => ElementType::F16,
        Some("BFloat16") => ElementType::BF16,
        Some("Long") => ElementType::I64,
        Some("Int") => ElementType::I32,
        Some("Short") => ElementType::I16,
        Some("Char") => ElementType::I8,
        Some("Byte") => ElementType::U8,
        Some("Bool") => ElementType::Bool,
        _ => return Err(format!("a storage of class `{class}`; floats, integers and booleans are read")),
    })
}

/// The number of elements of a view, checked against its storage of `len` elements: every one must lie in it. An expanded
/// view, of stride 0, may have more of them than its storage.
fn count(view: &View, len: usize) -> Result<usize, String> {
    let shown = || {
        format!(
            "shape {:?}, strides {:?}, offset {} in a storage of {len}",
            view.shape, view.strides, view.offset
        )
    };
    if view.shape.contains(&0) {
        return Ok(0);
    }
    let overflow = || format!("sizes beyond this machine's: {}", shown());
    let mut n = 1usize;
    let mut last = view.storage.start.checked_add(view.offset).ok_or_else(overflow)?;
    for (size, stride) in view.shape.iter().zip(&view.strides) {
        n = n.checked_mul(*size).ok_or_else(overflow)?;
        last = stride.checked_mul(size - 1).and_then(|far| last.checked_add(far)).ok_or_else(overflow)?;
    }
    if last >= len {
        return Err(format!("it reaches outside its storage: {}", shown()));
    }
    Ok(n)
}

/// The tensor that `view` is, contiguous; `budget` is what may still be allocated, in bytes.
pub(super) fn tensor(
    view: &View,
    raw: &Raw<'_>,
    budget: &mut usize,
    device: &Device,
) -> Result<Tensor, Refusal> {
    let width = raw.kind.width();
    let n = count(view, raw.bytes.len() / width)?;
    let bytes = n.checked_mul(width).ok_or("sizes beyond this machine's")?;
    *budget = budget.checked_sub(bytes).ok_or("the tensors together are many times larger than the file")?;
    let first = view.storage.start + view.offset;
    // A zero-element view reads nothing, wherever it claims to lie.
    let contiguous: std::borrow::Cow<'_, [u8]> = if n == 0 {
        (&[][..]).into()
    } else if is_contiguous(view) {
        (&raw.bytes[first * width..][..bytes]).into()
    } else {
        let mut out = Vec::with_capacity(bytes);
        let mut index = vec![0usize; view.shape.len()];
        for _ in 0..n {
            let at: usize = index.iter().zip(&view.strides).map(|(i, s)| i * s).sum::<usize>() + first;
            out.extend_from_slice(&raw.bytes[at * width..][..width]);
            // The next index in row-major order.
            for (i, size) in index.iter_mut().zip(&view.shape).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
        out.into()
    };
    tensors::values(&contiguous, raw.kind, &view.shape, device).map_err(|e| Refusal::because("", e))
}

fn is_contiguous(view: &View) -> bool {
    let mut expected = 1;
    view.shape.iter().zip(&view.strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected *= size;
        fits
    })
}
