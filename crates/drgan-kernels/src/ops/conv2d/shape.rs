//! The sizes of a convolution: what a caller says ([`Conv2dSpec`]), all of them together ([`ConvShape`]), and how its
//! output is divided into tasks ([`Panel`]).
use candle_core::{Result, Shape, bail};

/// The largest stride, and the largest padding of a side, in pixels: sums of a few of them stay far below `usize::MAX`.
const MAX_STEP: usize = 1 << 24;

/// The largest number of values in a map that is made or read: 64 GiB in f32.
#[cfg(target_pointer_width = "64")]
const MAX_VALUES: usize = 1 << 34;
#[cfg(not(target_pointer_width = "64"))]
const MAX_VALUES: usize = 1 << 28;

/// Refuses sizes whose product is more than a map may have, so that no product of them overflows. Empty axes count as one.
pub(crate) fn expect_values(what: &str, sizes: &[usize]) -> Result<()> {
    let values = sizes.iter().try_fold(1usize, |values, size| values.checked_mul((*size).max(1)));
    match values {
        Some(values) if values <= MAX_VALUES => Ok(()),
        _ => bail!("{what}: a map of {sizes:?} is too large; at most {MAX_VALUES} values are computed"),
    }
}

/// Zeros added around a map, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Rows of zeros above the map.
    pub top: usize,
    /// Rows of zeros below the map.
    pub bottom: usize,
    /// Columns of zeros on the left of the map.
    pub left: usize,
    /// Columns of zeros on the right of the map.
    pub right: usize,
}

impl Padding {
    /// `rows` above and below, `cols` left and right.
    pub fn symmetric(rows: usize, cols: usize) -> Self {
        Self { top: rows, bottom: rows, left: cols, right: cols }
    }

    /// TensorFlow's `SAME`: the output has `ceil(size / stride)` pixels; an odd remainder goes below and right.
    pub fn tf_same(h: usize, w: usize, kernel: usize, stride: usize) -> Self {
        // A stride of 0 and sizes beyond any map give a padding that `Conv2dSpec::output_size` refuses or that is 0.
        let total = |size: usize| {
            let last = size.div_ceil(stride.max(1)).saturating_sub(1).saturating_mul(stride);
            last.saturating_add(kernel).saturating_sub(size)
        };
        let (v, u) = (total(h), total(w));
        Self { top: v / 2, bottom: v - v / 2, left: u / 2, right: u - u / 2 }
    }

    /// The widest of the four sides.
    pub(crate) fn widest(&self) -> usize {
        self.top.max(self.bottom).max(self.left).max(self.right)
    }
}

/// Stride and padding of a convolution; the default is stride 1 without padding.
///
/// ```
/// use drgan_kernels::{Conv2dSpec, Padding};
///
/// let halving = Conv2dSpec::new(2, 1);
/// assert_eq!(halving.output_size((8, 8), (4, 4))?, (4, 4));
/// let row = Conv2dSpec::default().with_padding(Padding::symmetric(0, 3));
/// assert_eq!(row.output_size((17, 17), (1, 7))?, (17, 17));
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conv2dSpec {
    /// Step in both directions, in pixels, at least 1.
    pub stride: usize,
    /// Zeros added around the input, on each side.
    pub padding: Padding,
}

impl Default for Conv2dSpec {
    fn default() -> Self {
        Self { stride: 1, padding: Padding::default() }
    }
}

impl Conv2dSpec {
    /// `stride` in both directions and `padding` on all four sides.
    pub fn new(stride: usize, padding: usize) -> Self {
        Self { stride, padding: Padding::symmetric(padding, padding) }
    }

    /// These settings with another padding.
    #[must_use]
    pub fn with_padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// Output side lengths for an input `(h, w)` and a kernel `(kh, kw)`.
    ///
    /// # Errors
    /// The kernel does not fit into the padded input; a stride of 0; a stride or padding above 2^24.
    pub fn output_size(&self, (h, w): (usize, usize), (kh, kw): (usize, usize)) -> Result<(usize, usize)> {
        let p = self.padding;
        if self.stride > MAX_STEP || p.widest() > MAX_STEP {
            bail!("conv2d: stride {} and padding {p:?}: expected at most {MAX_STEP} each", self.stride)
        }
        let padded = |side: usize, zeros: usize| side.checked_add(zeros);
        let (Some(ph), Some(pw)) = (padded(h, p.top + p.bottom), padded(w, p.left + p.right)) else {
            bail!("conv2d: a map of {h}x{w} with padding {p:?} is too large")
        };
        if self.stride == 0 || kh == 0 || kw == 0 || ph < kh || pw < kw {
            bail!(
                "conv2d: kernel {kh}x{kw} with stride {} does not fit a padded map of {ph}x{pw}",
                self.stride
            )
        }
        Ok(((ph - kh) / self.stride + 1, (pw - kw) / self.stride + 1))
    }
}

/// All sizes of one convolution. With `upsample`, the input is read as if upsampled by two (nearest neighbour): `h` and
/// `w` are the upsampled sides, twice those of the map in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvShape {
    /// Images of the batch.
    pub(crate) b: usize,
    /// Input channels.
    pub(crate) c: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    /// Output channels.
    pub(crate) o: usize,
    pub(crate) kh: usize,
    pub(crate) kw: usize,
    pub(crate) stride: usize,
    pub(crate) padding: Padding,
    pub(crate) oh: usize,
    pub(crate) ow: usize,
    pub(crate) upsample: bool,
}

impl ConvShape {
    /// The sizes for an input `(B, C, H, W)` and a weight `(O, C, kh, kw)`, checked. With `upsample`, `spec` is of the
    /// upsampled map.
    pub(crate) fn new(x: &Shape, weight: &Shape, spec: Conv2dSpec, upsample: bool) -> Result<Self> {
        let (b, c, h, w) = x.dims4()?;
        let (o, wc, kh, kw) = weight.dims4()?;
        if wc != c {
            bail!(
                "conv2d: weight: expected (O, {c}, kh, kw) for an input of {c} channels, got {:?}",
                weight.dims()
            )
        }
        Self::of_sides((b, h, w), (o, c, kh, kw), spec, upsample)
    }

    /// The sizes for `b` maps of `h` by `w` in memory.
    pub(crate) fn of_sides(
        (b, h, w): (usize, usize, usize),
        (o, c, kh, kw): (usize, usize, usize, usize),
        spec: Conv2dSpec,
        upsample: bool,
    ) -> Result<Self> {
        let (h, w) = if upsample { (h.saturating_mul(2), w.saturating_mul(2)) } else { (h, w) };
        let (oh, ow) = spec.output_size((h, w), (kh, kw))?;
        let padding = spec.padding;
        // A stride beyond the map makes one pixel, whatever it is; kernels make room for as many phases as it has.
        let (ph, pw) = (h + padding.top + padding.bottom, w + padding.left + padding.right);
        let stride = spec.stride.min(ph.max(pw));
        expect_values("conv2d: output", &[b, o, oh, ow])?;
        expect_values("conv2d: padded input", &[b, c, ph, pw])?;
        Ok(Self { b, c, h, w, o, kh, kw, stride, padding, oh, ow, upsample })
    }

    /// Values that one output pixel reads: the rows of the im2col matrix.
    pub(crate) fn patch(&self) -> usize {
        self.c * self.kh * self.kw
    }

    /// Values of one input image, which is not upsampled.
    pub(crate) fn input(&self) -> usize {
        self.c * self.h * self.w
    }

    /// Values of one input image in memory.
    pub(crate) fn stored_input(&self) -> usize {
        if self.upsample { self.input() / 4 } else { self.input() }
    }

    /// Pixels of one output map.
    pub(crate) fn output(&self) -> usize {
        self.oh * self.ow
    }

    /// Whether the kernel is a single tap that reads every pixel once: the input is its own im2col matrix.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kh == 1 && self.kw == 1 && self.stride == 1 && self.padding == Padding::default()
    }
}

/// The part of a row of taps that lies inside the map it reads.
#[derive(Clone, Copy)]
pub(crate) struct ValidRange {
    /// The first value that lies inside.
    pub(crate) at: usize,
    /// Number of values that lie inside.
    pub(crate) count: usize,
    /// Where in the map the first value inside is read.
    pub(crate) from: usize,
}

impl ValidRange {
    /// Of `len` values that are every `stride`-th from value `first` on of `side` values with `padding` zeros before them.
    #[inline(always)]
    pub(crate) fn new((first, padding): (usize, usize), stride: usize, side: usize, len: usize) -> Self {
        let at = padding.saturating_sub(first).div_ceil(stride).min(len);
        let from = (at * stride + first).saturating_sub(padding);
        let count = side.saturating_sub(from).div_ceil(stride).min(len - at);
        Self { at, count, from: if count == 0 { 0 } else { from } }
    }
}

/// The output pixels that one task computes: some rows of one image, or all rows of several images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    /// The first image.
    pub(crate) image: usize,
    pub(crate) images: usize,
    /// The first row of each image.
    pub(crate) row: usize,
    pub(crate) rows: usize,
}

impl Panel {
    /// Divides each of `batch` images of `rows` rows into bands of `band` rows.
    pub(crate) fn bands(batch: usize, rows: usize, band: usize) -> Vec<Self> {
        let starts = (0..batch).flat_map(|image| (0..rows).step_by(band).map(move |row| (image, row)));
        starts.map(|(image, row)| Self { image, images: 1, row, rows: band.min(rows - row) }).collect()
    }

    /// Groups `batch` images of `rows` rows by at most `images`, but into two groups at least where there are two images,
    /// so that two threads have work.
    pub(crate) fn groups(batch: usize, rows: usize, images: usize) -> Vec<Self> {
        let images = images.clamp(1, batch.div_ceil(2));
        let group = |image| Self { image, images: images.min(batch - image), row: 0, rows };
        (0..batch).step_by(images).map(group).collect()
    }
}
