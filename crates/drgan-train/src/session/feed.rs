//! Batches for the GAN's steps.
use crate::error::TrainError;
use candle_core::{Device, Tensor};
use drgan_data::{Batch, Loader};
use drgan_tensor::ops::{Upload, Uploader};

/// A loader's batches with their images where the networks are. Copies to a device are started a batch ahead, so that they
/// are made while a step computes; on the CPU, where there is nothing to copy, a batch is taken when it is asked for.
pub(super) struct Feed {
    loader: Loader,
    uploader: Uploader,
    ahead: Option<Started>,
    /// How many batches are still to be taken from the loader.
    left: u64,
}

type Started = Result<(Batch, Upload), TrainError>;

impl Feed {
    /// The next `batches` of the loader.
    pub(super) fn new(loader: Loader, batches: u64, device: &Device) -> Result<Self, TrainError> {
        Ok(Self { loader, uploader: Uploader::new(device)?, ahead: None, left: batches })
    }

    /// Names of images that the loader has skipped so far.
    pub(super) fn skipped(&self) -> Vec<String> {
        self.loader.skipped()
    }

    /// The next batch, and its images on the device.
    pub(super) fn next(&mut self) -> Option<Result<(Batch, Vec<Tensor>), TrainError>> {
        let now = self.ahead.take().or_else(|| self.start())?;
        // An error is told when its batch is asked for.
        if now.is_ok() && self.uploader.is_asynchronous() {
            self.ahead = self.start();
        }
        Some(now.and_then(|(batch, upload)| Ok((batch, upload.tensors()?))))
    }

    fn start(&mut self) -> Option<Started> {
        self.left = self.left.checked_sub(1)?;
        let started = |batch: Batch| -> Started {
            let upload = self.uploader.start(&batch.images)?;
            Ok((batch, upload))
        };
        Some(self.loader.next()?.map_err(TrainError::from).and_then(started))
    }
}
