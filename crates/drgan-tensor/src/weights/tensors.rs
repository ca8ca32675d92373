//! Tensors by name, and how a file's element types become candle's.
use crate::text::{agreeing, counted, escaped};
use crate::{Result, Shapes};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use std::collections::BTreeMap;

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;
/// Free text by key.
pub type Metadata = BTreeMap<String, String>;

/// The shape of each of `tensors`, by name.
pub(crate) fn shapes(tensors: &Tensors) -> Shapes {
    tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect()
}

/// Tensors of any floating-point type as `f32`, others as they are.
pub(crate) fn floats_as_f32(tensors: Tensors) -> Result<Tensors> {
    let single = |t: Tensor| if t.dtype().is_float() { t.to_dtype(DType::F32) } else { Ok(t) };
    Ok(tensors.into_iter().map(|(n, t)| Ok((n, single(t)?))).collect::<candle_core::Result<_>>()?)
}

/// A sentence about tensors with NaN or infinite values, if there are some: the first, how many of its values, how many others.
pub(crate) fn not_finite(tensors: &Tensors) -> Result<Option<String>> {
    let mut found = Vec::new();
    for (name, t) in tensors.iter().filter(|(_, t)| t.dtype() == DType::F32) {
        let bad = t.flatten_all()?.to_vec1::<f32>()?.iter().filter(|v| !v.is_finite()).count();
        if bad > 0 {
            found.push((name, bad, t.elem_count()));
        }
    }
    Ok(found.first().map(|(name, bad, of)| {
        let others = match found.len() - 1 {
            0 => String::new(),
            n => format!(", and so {} {}", agreeing(n, "[has|have]"), counted(n, "other tensor[|s]")),
        };
        let values = counted(*of, "value[|s]");
        format!(
            "`{}` has {bad} of {values} that {} NaN or infinite{others}",
            escaped(name),
            agreeing(*bad, "[is|are]")
        )
    }))
}

/// Names without the `module.` that `DataParallel` and `AveragedModel` of PyTorch put before each, if it stands before all;
/// the latter's `n_averaged` beside them is left out.
pub fn strip_module(tensors: Tensors) -> Tensors {
    let averaged = |name: &str| name == "n_averaged";
    let inside = tensors.keys().filter(|name| name.starts_with("module.")).count();
    if inside == 0 || tensors.keys().any(|name| !name.starts_with("module.") && !averaged(name)) {
        return tensors;
    }
    tensors
        .into_iter()
        .filter(|(name, _)| !averaged(name))
        .map(|(name, t)| (name["module.".len()..].to_owned(), t))
        .collect()
}

/// The type of a file's values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(not(feature = "torch"), expect(dead_code, reason = "safetensors leaves most types to candle"))]
pub(crate) enum ElementType {
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

#[cfg(feature = "torch")]
impl ElementType {
    /// Size of a value in bytes.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// The tensor of little-endian values of `kind`. Types that candle lacks become wider ones that hold all their values:
/// integers of 8, 16 and 32 bits `i64`, booleans `u8` of 0 and 1.
pub(crate) fn values(
    bytes: &[u8],
    kind: ElementType,
    shape: &[usize],
    device: &Device,
) -> candle_core::Result<Tensor> {
    fn each<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
        let chunks = bytes.chunks_exact(N);
        chunks.map(|c| from(std::array::from_fn(|i| c[i]))).collect()
    }
    match kind {
        ElementType::F64 => Tensor::from_vec(each(bytes, f64::from_le_bytes), shape, device),
        ElementType::F32 => Tensor::from_vec(each(bytes, f32::from_le_bytes), shape, device),
        ElementType::F16 => Tensor::from_vec(each(bytes, f16::from_le_bytes), shape, device),
        ElementType::BF16 => Tensor::from_vec(each(bytes, bf16::from_le_bytes), shape, device),
        ElementType::I64 => Tensor::from_vec(each(bytes, i64::from_le_bytes), shape, device),
        ElementType::I32 => {
            Tensor::from_vec(each(bytes, |b| i64::from(i32::from_le_bytes(b))), shape, device)
        }
        ElementType::I16 => {
            Tensor::from_vec(each(bytes, |b| i64::from(i16::from_le_bytes(b))), shape, device)
        }
        ElementType::I8 => Tensor::from_vec(each(bytes, |b| i64::from(i8::from_le_bytes(b))), shape, device),
        ElementType::U8 => Tensor::from_vec(bytes.to_vec(), shape, device),
        ElementType::Bool => {
            Tensor::from_vec(bytes.iter().map(|b| u8::from(*b != 0)).collect::<Vec<_>>(), shape, device)
        }
    }
}
