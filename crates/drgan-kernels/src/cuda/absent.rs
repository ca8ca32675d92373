//! The names of `present`, without the feature `cuda`: there are no values of these types.
use super::launch::{Arg, Grid};
use crate::precision::Precision;
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape, Tensor, bail};
use std::convert::Infallible;
use std::marker::PhantomData;

pub(crate) trait Value {}
impl<T> Value for T {}

#[derive(Clone, Debug)]
pub(crate) struct Queue(Infallible);

#[derive(Debug)]
pub(crate) struct Buffer<T = f32>(Infallible, PhantomData<T>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a, T = f32>(Infallible, PhantomData<&'a T>);

#[derive(Debug)]
pub(crate) struct Uploads(Infallible);

#[derive(Debug)]
pub(crate) struct InFlight(Infallible);

impl Uploads {
    pub(crate) fn new(queue: Queue) -> Result<Self> {
        match queue.0 {}
    }

    pub(crate) fn start<F: FnOnce(&mut [f32]) -> Result<()>>(
        &mut self,
        _: Vec<Shape>,
        _: F,
    ) -> Result<InFlight> {
        match self.0 {}
    }
}

impl InFlight {
    pub(crate) fn tensors(self) -> Result<Vec<Tensor>> {
        match self.0 {}
    }
}

impl Queue {
    pub(crate) fn of(_: &CudaStorage) -> Result<Self> {
        bail!("this build has no CUDA support")
    }

    pub(crate) fn on(_: &CudaDevice) -> Result<Self> {
        bail!("this build has no CUDA support")
    }

    pub(crate) fn with_precision(&self, _: Precision) -> Self {
        match self.0 {}
    }

    pub(crate) fn buffer<T>(&self, _: usize) -> Result<Buffer<T>> {
        match self.0 {}
    }

    pub(crate) fn upload<T>(&self, _: &[T]) -> Result<Buffer<T>> {
        match self.0 {}
    }

    pub(crate) fn download<T>(&self, _: &Buffer<T>) -> Result<Vec<T>> {
        match self.0 {}
    }

    pub(crate) fn launch(&self, _: &'static str, _: Grid, _: &[Arg<'_>]) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn product<P, F, C>(&self, _: P, _: F, _: F, _: C) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn convolves(&self) -> Result<bool> {
        match self.0 {}
    }

    pub(crate) fn free_memory(&self) -> Result<u64> {
        match self.0 {}
    }

    pub(crate) fn convolutions(&self) -> Result<crate::convolutions::Convolutions> {
        match self.0 {}
    }

    pub(crate) fn convolve<P, G>(&self, _: P, _: &G, _: [View<'_>; 2], _: &mut Buffer) -> Result<bool> {
        match self.0 {}
    }

    pub(crate) fn storage<T>(&self, _: Buffer<T>) -> CudaStorage {
        match self.0 {}
    }

    pub(crate) fn tensor<T>(&self, _: Buffer<T>, _: impl Into<Shape>) -> Tensor {
        match self.0 {}
    }
}

impl<'a, T> View<'a, T> {
    pub(crate) fn of(_: &'a CudaStorage, _: &Layout) -> Result<Self> {
        bail!("this build has no CUDA support")
    }

    pub(crate) fn len(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn address(&self) -> u64 {
        match self.0 {}
    }
}

impl<T> Buffer<T> {
    pub(crate) fn view(&self) -> View<'_, T> {
        match self.0 {}
    }
}

impl<'a, T> From<View<'a, T>> for Arg<'a> {
    fn from(view: View<'a, T>) -> Self {
        match view.0 {}
    }
}

impl<'a, T> From<&'a mut Buffer<T>> for Arg<'a> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        match buffer.0 {}
    }
}

#[cfg(any(test, feature = "testing"))]
impl Queue {
    pub(crate) fn facts(&self) -> Result<super::about::DeviceFacts> {
        match self.0 {}
    }

    pub(crate) fn peak_memory(&self, _: bool) -> Result<u64> {
        match self.0 {}
    }

    pub(crate) fn profile(&self, _: impl FnOnce() -> Result<()>) -> Result<Vec<super::about::KernelTime>> {
        match self.0 {}
    }
}

#[cfg(any(test, feature = "testing"))]
pub(crate) fn convolve_by_columns(_: &CudaDevice) {}

#[cfg(any(test, feature = "testing"))]
pub(crate) fn kernels() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(any(test, feature = "testing"))]
pub(crate) fn launches(_: Option<&std::ffi::CStr>) -> Option<u64> {
    None
}
