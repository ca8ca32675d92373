//! The epilogue of a convolution: bias, activation and residual, while an output's sums are in the cache.
use crate::cpu::multiversion::multiversion;
use crate::ops::activation::kind::Activation;
use crate::ops::activation::scalar;
use crate::ops::conv2d::shape::ConvShape;

/// Values that a row is finished in place by.
const CHUNK: usize = 64;

/// `act(sum + shift[o]) + residual`, with `residual` a map of the result's shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue<'a> {
    pub(crate) shift: Option<&'a [f32]>,
    pub(crate) act: Activation,
    pub(crate) residual: Option<&'a [f32]>,
}

impl<'a> Epilogue<'a> {
    /// A bias, if any, and nothing else.
    pub(crate) fn bias(shift: Option<&'a [f32]>) -> Self {
        Self { shift, act: Activation::Identity, residual: None }
    }

    /// Whether the sums are the result already.
    pub(crate) fn is_identity(&self) -> bool {
        self.shift.is_none() && self.act == Activation::Identity && self.residual.is_none()
    }

    /// Finishes sums of output channel `o` where they lie, unless they are gated.
    #[inline(always)]
    pub(crate) fn finish_in_place(&self, o: usize, at: usize, y: &mut [f32]) {
        for (i, y) in y.chunks_mut(CHUNK).enumerate() {
            let mut sums = [0f32; CHUNK];
            let sums = &mut sums[..y.len()];
            sums.copy_from_slice(y);
            self.finish((o, sums), (o, &[]), at + i * CHUNK, y);
        }
    }

    /// Finishes the sums of whole maps.
    pub(crate) fn finish_maps(&self, g: &ConvShape, sums: Vec<f32>) -> Vec<f32> {
        if self.is_identity() {
            return sums;
        }
        let (pixels, channels) = (g.oh * g.ow, self.act.channels_out(g.o));
        let mut y = vec![0f32; g.b * channels * pixels];
        for (i, y) in y.chunks_exact_mut(pixels.max(1)).enumerate() {
            let (image, o) = (i / channels, i % channels);
            let gate = if self.act == Activation::Glu { o + channels } else { o };
            let row = |o: usize| (o, &sums[(image * g.o + o) * pixels..][..pixels]);
            self.finish(row(o), row(gate), i * pixels, y);
        }
        y
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
        if self.act == Activation::Glu {
            let by_gate = shift(gate_o);
            scalar::glu(sums.iter().map(|a| a + by), gate.iter().map(|b| b + by_gate), y);
        } else {
            scalar::activate(self.act, sums.iter().map(|a| a + by), y);
        }
        if let Some(residual) = self.residual {
            y.iter_mut().zip(&residual[at..]).for_each(|(y, p)| *y += p);
        }
    }
}

multiversion! {
    /// [`Epilogue::finish`] for whole rows.
    fn finish_row(by: &Epilogue<'_>, sums: (usize, &[f32]), gate: (usize, &[f32]), at: usize, y: &mut [f32]) {
        by.finish(sums, gate, at, y);
    }
}

multiversion! {
    /// [`Epilogue::finish_in_place`].
    fn finish_in_place(by: &Epilogue<'_>, o: usize, at: usize, y: &mut [f32]) {
        by.finish_in_place(o, at, y);
    }
}
