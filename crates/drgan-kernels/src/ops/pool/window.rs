//! The sizes of a pooling.
use crate::ops::conv2d::shape::{Conv2dSpec, ConvShape};
use candle_core::{Result, Shape, Tensor};

/// All sizes of a pooling by square windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Number of images and of channels.
    pub(super) maps: (usize, usize),
    /// Rows and columns of the input.
    pub(super) side: (usize, usize),
    /// Rows and columns of the output.
    pub(super) out: (usize, usize),
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Window {
    pub(super) fn new(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        let (b, c, h, w) = x.dims4()?;
        let spec = Conv2dSpec::new(stride, padding);
        let ConvShape { oh, ow, .. } = ConvShape::of_sides((b, h, w), (c, c, kernel, kernel), spec, false)?;
        let out = (oh, ow);
        Ok(Self { maps: (b, c), side: (h, w), out, kernel, stride, padding })
    }

    /// Pixels of an input and of an output map.
    pub(super) fn pixels(&self) -> (usize, usize) {
        (self.side.0 * self.side.1, self.out.0 * self.out.1)
    }

    /// Shape of the output.
    pub(super) fn output(&self) -> Shape {
        (self.maps.0, self.maps.1, self.out.0, self.out.1).into()
    }
}
