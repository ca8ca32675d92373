//! Differentiable augmentation: the same change of color, place and what is covered, for real images and for generated ones.
mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, expect_one_device, fall_back};
use crate::op::apply;
use candle_core::{Device, Result, Tensor, bail};

/// How one image is changed, by "Differentiable Augmentation for Data-Efficient GAN Training" (Zhao et al., 2020): its color, then
/// its place, then what of it is covered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// What is added to every value.
    pub brightness: f32,
    /// Factor of each pixel's difference from its mean over the channels: 0 makes it gray, 1 keeps it.
    pub saturation: f32,
    /// Factor of each value's difference from the image's mean: 1 keeps it.
    pub contrast: f32,
    /// Rows and columns that the image is moved by, down and to the right; what comes in is 0.
    pub shift: [i32; 2],
    /// Rows and columns that are covered by 0, each from the first to before the second; none where these are equal.
    pub cutout: [[u32; 2]; 2],
}

impl Augmentation {
    /// The change that leaves an image as it is.
    pub const IDENTITY: Self =
        Self { brightness: 0., saturation: 1., contrast: 1., shift: [0; 2], cutout: [[0; 2]; 2] };
}

/// Numbers of an image's row in the table that kernels read.
const COLUMNS: usize = 10;

/// How each image of a batch is changed, on a device.
#[derive(Clone, Debug)]
pub struct Augmentations {
    of: Vec<Augmentation>,
    /// `(B, 10)`: factor of a value, of its pixel's mean over the channels, of the image's mean; brightness, shift, cutout.
    table: Tensor,
}

impl Augmentations {
    /// An augmentation per image of a batch.
    ///
    /// # Errors
    /// A device without room; a shift or cutout of 2^24 pixels or more.
    pub fn new(of: Vec<Augmentation>, device: &Device) -> Result<Self> {
        let table: Vec<f32> = of.iter().flat_map(Augmentation::row).collect();
        // Whole numbers up to here are themselves in f32.
        if table.iter().any(|value| value.abs() >= (1 << 24) as f32) {
            bail!("augment: numbers below 2^24 are expected, got {of:?}")
        }
        let table = Tensor::from_vec(table, (of.len(), COLUMNS), device)?;
        Ok(Self { of, table })
    }
}

impl Augmentation {
    /// With `v = contrast (saturation (x - m) + m - M) + M + brightness`, `m` a pixel's mean and `M` the image's:
    /// `v = row[0] x + row[1] m + row[2] M + row[3]`.
    fn row(&self) -> [f32; COLUMNS] {
        let Self { brightness, saturation, contrast, shift: [down, right], cutout: [rows, columns] } = *self;
        [
            contrast * saturation,
            contrast * (1. - saturation),
            1. - contrast,
            brightness,
            down as f32,
            right as f32,
            rows[0] as f32,
            rows[1] as f32,
            columns[0] as f32,
            columns[1] as f32,
        ]
    }
}

/// Images changed as `by` says: with `m` the mean of a pixel's channels and `M` that of an image's values, each value `x` becomes
/// `contrast (saturation (x - m) + m - M) + M + brightness`; the image is moved, and a part of it covered. The gradient of the images
/// is that of this map, which is affine in them.
///
/// # Shapes
/// `images`: `(B, C, H, W)`; `by`: B augmentations. The result is as `images`.
///
/// # Errors
/// Other shapes; tensors on different devices.
pub fn augment(images: &Tensor, by: &Augmentations) -> Result<Tensor> {
    let (b, c, h, w) = images.dims4()?;
    if b != by.of.len() {
        bail!("augment: {b} images and {} augmentations", by.of.len())
    }
    expect_one_device("augment", &[images, &by.table])?;
    let sizes = Sizes { b, c, h, w };
    match backend("augment", &[images, &by.table])? {
        Backend::Cpu => apply(cpu::Augment(sizes), [images, &by.table]),
        Backend::Cuda if sizes.count() > 0 => apply_cuda(cuda::Augment(sizes), [images, &by.table]),
        _ => fall_back(|| reference::augment(images, &by.of)),
    }
}

/// Sizes of a batch of images.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    b: usize,
    c: usize,
    h: usize,
    w: usize,
}

impl Sizes {
    fn count(&self) -> usize {
        self.b * self.image()
    }

    /// Values of an image.
    fn image(&self) -> usize {
        self.c * self.plane()
    }

    fn plane(&self) -> usize {
        self.h * self.w
    }
}
