//! Tensors of the host on their way to a device, ahead of their use.
use crate::cpu::slices::with_values;
use crate::cuda::{InFlight, Uploads};
use crate::dispatch::queue;
use candle_core::{Device, Result, Tensor};

/// Brings f32 tensors from the host to a device. On a CUDA device the copy is made from page-locked memory, in a stream of its
/// own: the host does not wait for it, and the device computes what it was asked for before. On the CPU tensors stay as they
/// are.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use drgan_kernels::Uploader;
///
/// let mut uploader = Uploader::new(&Device::Cpu)?;
/// let batch = uploader.start(&[Tensor::new(&[1f32, 2.], &Device::Cpu)?])?;
/// // Here another batch is computed on.
/// assert_eq!(batch.tensors()?[0].to_vec1::<f32>()?, [1., 2.]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Uploader(Option<Uploads>);

/// Tensors that are on their way: see [`Uploader::start`].
#[derive(Debug)]
pub struct Upload(Way);

#[derive(Debug)]
enum Way {
    There(Vec<Tensor>),
    Copied(InFlight),
}

impl Uploader {
    /// Ways to this device.
    ///
    /// # Errors
    /// What the driver says.
    pub fn new(device: &Device) -> Result<Self> {
        Ok(Self(queue(device)?.map(Uploads::new).transpose()?))
    }

    /// Whether copies are made while others are computed on, so that it is worth to start them early.
    pub fn is_asynchronous(&self) -> bool {
        self.0.is_some()
    }

    /// Starts to copy tensors of the host. At most one upload before this one may be on its way without being waited for.
    ///
    /// # Errors
    /// A tensor that is not f32 on the host; a device without memory left.
    pub fn start(&mut self, tensors: &[Tensor]) -> Result<Upload> {
        let Some(uploads) = &mut self.0 else { return Ok(Upload(Way::There(tensors.to_vec()))) };
        let tensors: Vec<Tensor> = tensors.iter().map(Tensor::contiguous).collect::<Result<_>>()?;
        let shapes = tensors.iter().map(|t| t.shape().clone()).collect();
        let copied = uploads.start(shapes, |mut to| {
            for tensor in &tensors {
                with_values([tensor], |[values]| {
                    let (room, rest) = std::mem::take(&mut to).split_at_mut(values.len());
                    room.copy_from_slice(values);
                    to = rest;
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(Upload(Way::Copied(copied)))
    }
}

impl Upload {
    /// The tensors on the device. Work that reads them comes behind the copy; the host does not wait.
    ///
    /// # Errors
    /// What the driver says.
    pub fn tensors(self) -> Result<Vec<Tensor>> {
        match self.0 {
            Way::There(tensors) => Ok(tensors),
            Way::Copied(copied) => copied.tensors(),
        }
    }
}
