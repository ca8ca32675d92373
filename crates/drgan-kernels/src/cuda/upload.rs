//! Copies from page-locked memory in a stream of their own, ordered with the device's one stream by events.
use super::present::{Buffer, Queue};
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaSlice, CudaStream, PinnedHostSlice};
use candle_core::{Result, Shape, Tensor};
use std::sync::Arc;

/// Two rooms of page-locked memory, which are filled by turns, and the stream that copies from them.
#[derive(Debug)]
pub(crate) struct Uploads {
    queue: Queue,
    copies: Arc<CudaStream>,
    rooms: [Option<PinnedHostSlice<f32>>; 2],
    turn: usize,
}

/// Tensors that a copy is bringing, one behind the other in memory of the device.
#[derive(Debug)]
pub(crate) struct InFlight {
    queue: Queue,
    values: Option<CudaSlice<f32>>,
    done: CudaEvent,
    shapes: Vec<Shape>,
}

impl Uploads {
    pub(crate) fn new(queue: Queue) -> Result<Self> {
        let copies = queue.device.cuda_stream().context().new_stream().w()?;
        Ok(Self { queue, copies, rooms: [None, None], turn: 0 })
    }

    /// Starts to copy values of these shapes, which `fill` writes one behind the other.
    pub(crate) fn start(
        &mut self,
        shapes: Vec<Shape>,
        fill: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<InFlight> {
        let n = shapes.iter().map(Shape::elem_count).sum::<usize>().max(1);
        let main = self.queue.device.cuda_stream();
        let room = &mut self.rooms[self.turn];
        self.turn = 1 - self.turn;
        if room.as_ref().is_none_or(|room| room.len() != n) {
            // SAFETY: `fill` writes all of it before it is read.
            *room = Some(unsafe { main.context().alloc_pinned(n) }.w()?);
        }
        let Some(room) = room else { candle_core::bail!("page-locked memory was taken and is not there") };
        // The last copy from here was two uploads ago: there is nothing to wait for but where the device is far behind.
        fill(room.as_mut_slice().w()?)?;
        // SAFETY: the copy writes all of it; who reads it comes behind the copy.
        let mut values = unsafe { main.alloc::<f32>(n) }.w()?;
        self.copies.join(&main).w()?; // the memory may have been another tensor's, which work before this reads
        self.copies.memcpy_htod(&*room, &mut values).w()?;
        let done = self.copies.record_event(None).w()?;
        Ok(InFlight { queue: self.queue.clone(), values: Some(values), done, shapes })
    }
}

impl InFlight {
    pub(crate) fn tensors(mut self) -> Result<Vec<Tensor>> {
        self.queue.device.cuda_stream().wait(&self.done).w()?;
        let Some(values) = self.values.take() else { return Ok(Vec::new()) };
        let n = values.len();
        let all = self.queue.tensor(Buffer(values), n);
        let mut from = 0;
        let shapes = std::mem::take(&mut self.shapes);
        let mut tensor = |shape: Shape| {
            let values = all.narrow(0, from, shape.elem_count())?;
            from += shape.elem_count();
            values.reshape(shape)
        };
        shapes.into_iter().map(&mut tensor).collect()
    }
}

impl Drop for InFlight {
    /// Memory that nobody asked for is given back behind the copy into it.
    fn drop(&mut self) {
        if self.values.is_some() {
            // A driver that refuses this has lost the context, and all memory with it.
            let _ = self.queue.device.cuda_stream().wait(&self.done);
        }
    }
}
