//! Convolutions by cuDNN.

/// A pass of a convolution; each has one algorithm, which gives the same bits each time and takes any shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The result from map and weight.
    Forward,
    /// The map's gradient from weight and gradient.
    Input,
    /// The weight's gradient from map and gradient.
    Weight,
}

/// The sizes of a convolution as cuDNN takes them: the padding is the same on opposite sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    /// Images, channels, height and width of the map.
    pub(crate) x: [usize; 4],
    /// Output channels, input channels, height and width of the weight.
    pub(crate) w: [usize; 4],
    /// Images, channels, height and width of the result.
    pub(crate) y: [usize; 4],
    /// Rows above and below, columns left and right.
    pub(crate) padding: [usize; 2],
    pub(crate) stride: usize,
}

#[cfg(all(feature = "cuda", feature = "cudnn"))]
impl Pass {
    /// What it is called where times of kernels are told.
    pub(super) fn kernel(self) -> &'static str {
        match self {
            Self::Forward => "cudnn forward",
            Self::Input => "cudnn gradient of the map",
            Self::Weight => "cudnn gradient of the weight",
        }
    }
}

#[cfg(all(feature = "cuda", feature = "cudnn"))]
impl Geometry {
    /// Multiplications and additions of a pass, the same for each.
    pub(super) fn operations(&self) -> u64 {
        let [b, _, h, w] = self.y;
        2 * (b * h * w * self.w.iter().product::<usize>()) as u64
    }
}

#[cfg(all(feature = "cuda", not(feature = "cudnn")))]
impl super::Queue {
    /// Whether convolutions are computed by cuDNN: not by this build.
    pub(crate) fn convolves(&self) -> candle_core::Result<bool> {
        Ok(false)
    }

    /// Enqueues a pass of a convolution, if cuDNN is used: not by this build.
    pub(crate) fn convolve(
        &self,
        _: Pass,
        _: &Geometry,
        _: [super::View<'_>; 2],
        _: &mut super::Buffer,
    ) -> candle_core::Result<bool> {
        Ok(false)
    }
}
