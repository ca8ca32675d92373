//! The values of contiguous f32 tensors on the CPU, and copies of rows of them.
use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// The values of a contiguous f32 storage.
pub(crate) fn f32_slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("a kernel was given a storage that is not contiguous f32"),
    }
}

/// The values of a contiguous f32 storage, to change them.
pub(crate) fn f32_slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => bail!("a kernel was asked to change a storage that is not contiguous f32"),
    }
}

/// Runs `f` on the values of contiguous f32 tensors on the CPU.
pub(crate) fn with_values<const N: usize, R>(
    xs: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let guards = xs.map(|x| x.storage_and_layout());
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *slice = match &**storage {
            Storage::Cpu(cpu) => f32_slice(cpu, layout)?,
            _ => bail!("a kernel was given a tensor that is not on the CPU"),
        };
    }
    f(slices)
}

/// `dst` is every `stride`-th value of `src`.
#[inline(always)]
pub(crate) fn copy_row(src: &[f32], stride: usize, dst: &mut [f32]) {
    match (stride, dst.len()) {
        (_, 0) => (),
        // The rows of small maps: a load and a store in place of a call.
        (1, 2) => dst.copy_from_slice(&src[..2]),
        (1, 4) => dst.copy_from_slice(&src[..4]),
        (1, 8) => dst.copy_from_slice(&src[..8]),
        (1, 16) => dst.copy_from_slice(&src[..16]),
        (1, 32) => dst.copy_from_slice(&src[..32]),
        (1, n) => dst.copy_from_slice(&src[..n]),
        // Whole pairs, which compilers make shuffles of; the last value may have none.
        (2, n) => {
            dst.iter_mut().zip(src.chunks_exact(2)).for_each(|(d, s)| *d = s[0]);
            dst[n - 1] = src[2 * (n - 1)];
        }
        (s, _) => dst.iter_mut().zip(src.iter().step_by(s)).for_each(|(d, v)| *d = *v),
    }
}
