//! Storages and the tensors that view them.
use super::objects::View;
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};

/// Values of one type, as they lie in the file: little-endian.
pub(super) struct Raw<'a> {
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
}

/// What a storage holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Kind {
    /// From the storage's class.
    pub(super) fn of(class: &str) -> Result<Self, String> {
        let name = ["torch.", "torch.cuda."].iter().find_map(|module| {
            class.strip_prefix(module)?.strip_suffix("Storage").filter(|name| !name.contains('.'))
        });
        Ok(match name {
            Some("Double") => Self::F64,
            Some("Float") => Self::F32,
            Some("Half") => Self::F16,
            Some("BFloat16") => Self::BF16,
            Some("Long") => Self::I64,
            Some("Int") => Self::I32,
            Some("Short") => Self::I16,
            Some("Char") => Self::I8,
            Some("Byte") => Self::U8,
            Some("Bool") => Self::Bool,
            _ => return Err(format!("a storage of class `{class}`; floats, integers and booleans are read")),
        })
    }

    /// Bytes of a value.
    pub(super) fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
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
) -> Result<Tensor, String> {
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
    values(&contiguous, raw.kind, &view.shape, device).map_err(|e| e.to_string())
}

fn is_contiguous(view: &View) -> bool {
    let mut expected = 1;
    view.shape.iter().zip(&view.strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected *= size;
        fits
    })
}

/// Types that candle lacks become wider ones that hold all their values; booleans become 0 and 1.
pub(crate) fn values(
    bytes: &[u8],
    kind: Kind,
    shape: &[usize],
    device: &Device,
) -> candle_core::Result<Tensor> {
    fn each<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
        let chunks = bytes.chunks_exact(N);
        chunks.map(|c| from(std::array::from_fn(|i| c[i]))).collect()
    }
    match kind {
        Kind::F64 => Tensor::from_vec(each(bytes, f64::from_le_bytes), shape, device),
        Kind::F32 => Tensor::from_vec(each(bytes, f32::from_le_bytes), shape, device),
        Kind::F16 => Tensor::from_vec(each(bytes, f16::from_le_bytes), shape, device),
        Kind::BF16 => Tensor::from_vec(each(bytes, bf16::from_le_bytes), shape, device),
        Kind::I64 => Tensor::from_vec(each(bytes, i64::from_le_bytes), shape, device),
        Kind::I32 => Tensor::from_vec(each(bytes, |b| i64::from(i32::from_le_bytes(b))), shape, device),
        Kind::I16 => Tensor::from_vec(each(bytes, |b| i64::from(i16::from_le_bytes(b))), shape, device),
        Kind::I8 => Tensor::from_vec(each(bytes, |b| i64::from(i8::from_le_bytes(b))), shape, device),
        Kind::U8 => Tensor::from_vec(bytes.to_vec(), shape, device),
        Kind::Bool => {
            Tensor::from_vec(bytes.iter().map(|b| u8::from(*b != 0)).collect::<Vec<_>>(), shape, device)
        }
    }
}

/// Floats as `f32`, others as they are.
pub(super) fn single(t: Tensor) -> candle_core::Result<Tensor> {
    if t.dtype().is_float() { t.to_dtype(DType::F32) } else { Ok(t) }
}
