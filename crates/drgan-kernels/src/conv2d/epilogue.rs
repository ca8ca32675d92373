//! What follows a convolution's sums where nobody asks for a gradient.
use crate::activation::Activation;
use crate::rows;

/// `act(sum + shift[o]) + plus`, with `plus` a map of the result's shape.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    pub(crate) shift: Option<&'a [f32]>,
    pub(crate) act: Activation,
    pub(crate) plus: Option<&'a [f32]>,
}

impl<'a> Epilogue<'a> {
    /// A bias, if any.
    pub(crate) fn bias(shift: Option<&'a [f32]>) -> Self {
        Self { shift, act: Activation::Identity, plus: None }
    }

    /// Finishes values of output channel `o` into `y`, whose first value is value `at` of the result. `gate` are the sums of
    /// the channel's gate at `gate_o`, used by a gated activation only.
    #[inline(always)]
    pub(crate) fn finish(
        &self,
        (o, sums): (usize, &[f32]),
        (gate_o, gate): (usize, &[f32]),
        at: usize,
        y: &mut [f32],
    ) {
        let shift = |o: usize| self.shift.map_or(0., |s| s[o]);
        let by = shift(o);
        match self.act {
            Activation::Glu => {
                let by_gate = shift(gate_o);
                for ((y, a), b) in y.iter_mut().zip(sums).zip(gate) {
                    *y = (a + by) * rows::sigmoid(b + by_gate);
                }
            }
            Activation::Identity => y.iter_mut().zip(sums).for_each(|(y, a)| *y = a + by),
            Activation::Relu => y.iter_mut().zip(sums).for_each(|(y, a)| *y = (a + by).max(0.)),
            Activation::Relu6 => y.iter_mut().zip(sums).for_each(|(y, a)| *y = (a + by).clamp(0., 6.)),
            Activation::LeakyRelu(slope) => {
                let slope = slope as f32;
                y.iter_mut().zip(sums).for_each(|(y, a)| {
                    let z = a + by;
                    *y = if z > 0. { z } else { slope * z };
                });
            }
        }
        if let Some(plus) = self.plus {
            y.iter_mut().zip(&plus[at..]).for_each(|(y, p)| *y += p);
        }
    }
}
