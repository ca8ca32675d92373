//! The gate in one pass over both tensors.
use crate::cpu::rows::affine::{Affine, gate_gradient_row, gate_row, scale_row};
use crate::cpu::shared_slice::fill_uninit;
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;
use rayon::prelude::*;

/// Values that a task takes.
const CHUNK: usize = 1 << 14;

/// A gate. The mask is computed again for the gradient, which is cheaper than to keep it.
pub(super) struct Gate {
    pub(super) scale: f32,
    pub(super) shape: Shape,
}

impl Gate {
    fn by(&self) -> Affine {
        Affine { scale: self.scale, shift: 0. }
    }
}

impl Op<2> for Gate {
    const NAME: &'static str = "gate";
    type Saved = ();

    fn output(&self) -> Shape {
        self.shape.clone()
    }

    fn forward(&self, [x, logits]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        // SAFETY: chunks cover all values, each is its task's own, and a row is written without being read.
        let y = unsafe {
            fill_uninit(x.len(), |out| {
                x.par_chunks(CHUNK).zip(logits.par_chunks(CHUNK)).enumerate().for_each(|(i, (x, l))| {
                    gate_row(x, Affine::IDENTITY, l, self.by(), out.slice_mut(i * CHUNK, x.len()));
                });
            })
        };
        (y, ())
    }

    fn backward(&self, pass: Pass<'_, 2, ()>) -> [Gradient; 2] {
        let ([x, logits], dy) = (pass.inputs, pass.gradient);
        let mut d_logits = Vec::new();
        // SAFETY (both): chunks cover all values, each is its task's own, and rows are written without being read.
        let dx = unsafe {
            fill_uninit(x.len(), |dx| {
                d_logits = fill_uninit(x.len(), |dl| {
                    let chunks = x.par_chunks(CHUNK).zip(logits.par_chunks(CHUNK));
                    chunks.zip(dy.par_chunks(CHUNK)).enumerate().for_each(|(i, ((x, l), dy))| {
                        let (dx, dl) = (dx.slice_mut(i * CHUNK, x.len()), dl.slice_mut(i * CHUNK, x.len()));
                        gate_gradient_row(x, Affine::IDENTITY, l, self.by(), dy, dx, dl);
                        scale_row(dl, self.scale);
                    });
                });
            })
        };
        [Gradient::Values(dx), Gradient::Values(d_logits)]
    }
}
