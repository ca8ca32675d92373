//! Which elements of a storage a fused update goes over.
use candle_core::Layout;

/// The contiguous elements that a layout selects.
pub(super) fn span(layout: &Layout) -> candle_core::Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(from..to),
        None => candle_core::bail!("a fused update needs contiguous tensors, got {layout:?}"),
    }
}
