//! The recurrence of an LSTM on CUDA devices: a product of cuBLAS and a launch per step, see lstm.cu.
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::op::with_views;
use crate::cuda::{Queue, View};
use crate::node::Passes;
use candle_core::backend::BackendStorage;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// Numbers of LSTMs, steps, sequences and units.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) l: usize,
    pub(super) s: usize,
    pub(super) b: usize,
    pub(super) h: usize,
}

impl Sizes {
    /// A thread per value of a step's states.
    fn grid(&self) -> Grid {
        Grid::threads(self.l * self.b * self.h)
    }

    /// Step and sizes as both kernels take them.
    fn at(&self, step: usize) -> [Arg<'static>; 5] {
        [step, self.l, self.s, self.b, self.h].map(|n| Arg::Int(n as u32))
    }
}

/// The recurrence, and the activated gates and the cells that its forward pass has left.
pub(super) struct Lstm {
    sizes: Sizes,
    saved: OnceLock<[Tensor; 2]>,
}

impl Lstm {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self { sizes, saved: OnceLock::new() }
    }
}

impl Passes<2> for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn output(&self) -> Shape {
        let Sizes { l, s, b, h } = self.sizes;
        (l, s, b, h).into()
    }

    fn on_cuda(&self, [(gates, of_gates), (w, of_w)]: [(&CudaStorage, &Layout); 2]) -> Result<CudaStorage> {
        let Sizes { l, s: steps, b, h } = self.sizes;
        let queue = Queue::of(gates)?;
        let gates = View::<f32>::of(gates, of_gates)?;
        let values = l * steps * b * h;
        let states = queue.storage(queue.buffer::<f32>(values)?);
        let of_states = Layout::contiguous(values);
        let saved = [
            queue.tensor(queue.buffer::<f32>(4 * values)?, (l, steps, b, 4 * h)),
            queue.tensor(queue.buffer::<f32>(values)?, (l, steps, b, h)),
        ];
        with_views([&saved[0], &saved[1]], |queue, [activated, cells]| {
            for s in 0..steps {
                let before = |s| Layout::new((l, b, h).into(), vec![steps * b * h, h, 1], s * b * h);
                let product = match s.checked_sub(1) {
                    Some(s) => Some(states.matmul(w, (l, b, 4 * h, h), &before(s), of_w)?),
                    None => None,
                };
                let of_product = Layout::contiguous(4 * l * b * h);
                let product = match &product {
                    Some(product) => View::<f32>::of(product, &of_product)?.into(),
                    None => Arg::NONE,
                };
                // Written to by each step in its place, and read by the next: in the one order of the queue.
                let states = View::<f32>::of(&states, &of_states)?;
                let args = args![gates, product, activated, cells, states];
                let args = [args, self.sizes.at(s).as_slice()].concat();
                queue.launch("lstm_step", self.sizes.grid(), &args)?;
            }
            Ok(())
        })?;
        // A second pass over the same node would leave the same.
        let _ = self.saved.set(saved);
        Ok(states)
    }

    fn gradients(
        &self,
        [gates, w]: [&Tensor; 2],
        states: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; 2]> {
        let Some([activated, cells]) = self.saved.get() else {
            bail!("lstm: a backward pass without a forward pass")
        };
        let Sizes { l, s: steps, b, h } = self.sizes;
        let transposed = w.detach().transpose(1, 2)?; // (L, 4 hidden, hidden)
        let (d_gates, d_cells) = with_views([gradient], |queue, _| {
            let buffer = |n| queue.buffer::<f32>(n);
            let d_gates = queue.tensor(buffer(4 * l * steps * b * h)?, (l, steps * b, 4 * h));
            Ok((d_gates, queue.tensor(buffer(l * b * h)?, (l, b, h))))
        })?;
        for s in (0..steps).rev() {
            let after = s + 1;
            let product = match after < steps {
                true => Some(d_gates.narrow(1, after * b, b)?.matmul(&transposed)?), // (L, B, hidden)
                false => None,
            };
            let product = product.as_ref().unwrap_or(&d_cells);
            with_views(
                [activated, cells, gradient, product, &d_cells, &d_gates],
                |queue, [activated, cells, gradient, product, d_cells, d_gates]| {
                    let product = if after < steps { product.into() } else { Arg::NONE };
                    // The cells' and the gates' gradients are written to, in the one order of the queue.
                    let args = args![activated, cells, gradient, product, d_cells, d_gates];
                    let args = [args, self.sizes.at(s).as_slice()].concat();
                    queue.launch("lstm_step_backward", self.sizes.grid(), &args)
                },
            )?;
        }
        // The first step reads no state.
        let dw = || {
            let rows = (steps - 1) * b;
            let before = states.detach().reshape((l, steps * b, h))?.narrow(1, 0, rows)?;
            before.transpose(1, 2)?.matmul(&d_gates.narrow(1, b, rows)?)
        };
        let dw = (w.track_op() && steps > 1).then(dw).transpose()?;
        Ok([gates.track_op().then(|| d_gates.reshape(gates.shape())).transpose()?, dw])
    }
}
