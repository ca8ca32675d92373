//! A bi-directional LSTM that knows the length of each sequence.
use candle_core::Tensor;
use drgan_tensor::{Error, Hint, Init, Result, VarBuilder, expect_shape, ops};

/// A bi-directional LSTM layer that knows the length of each sequence: its reverse pass starts at the last element that is
/// not padding.
///
/// `[i, f, g, o] = W_ih x + b_ih + W_hh h + b_hh`; `c' = s(f) c + s(i) tanh(g)`; `h' = s(o) tanh(c')`, where s is the
/// sigmoid.
/// Names and gate order are PyTorch's: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, and `..._reverse`.
#[derive(Clone, Debug)]
pub struct BiLstm {
    input: [Tensor; 2],
    state: [Tensor; 2],
    bias: [[Tensor; 2]; 2],
    hidden: usize,
}

/// Result of [`BiLstm::forward`].
#[derive(Clone, Debug)]
pub struct BiLstmOutput {
    /// Forward and reverse state at each element, zero at padding: `(B, T, 2 hidden)`.
    pub states: Tensor,
    /// The state after the last step of each direction: `(B, 2 hidden)`.
    pub last: Tensor,
}

impl BiLstm {
    /// From vectors of length `input` to states of length `hidden` per direction. Fresh parameters are drawn from
    /// `U(-1/sqrt(hidden), 1/sqrt(hidden))`.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(input: usize, hidden: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let bound = 1. / (hidden as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        let matrix = |cols: usize, name: &str| vb.get_with_hints((4 * hidden, cols), name, Hint::param(init));
        let vector = |name: &str| vb.get_with_hints(4 * hidden, name, Hint::param(init));
        Ok(Self {
            input: [matrix(input, "weight_ih_l0")?, matrix(input, "weight_ih_l0_reverse")?],
            state: [matrix(hidden, "weight_hh_l0")?, matrix(hidden, "weight_hh_l0_reverse")?],
            bias: [
                [vector("bias_ih_l0")?, vector("bias_hh_l0")?],
                [vector("bias_ih_l0_reverse")?, vector("bias_hh_l0_reverse")?],
            ],
            hidden,
        })
    }

    /// States of a batch of sequences.
    ///
    /// # Shapes
    /// `x` `(B, T, input)`; `lens` holds B lengths in `1..=T`.
    ///
    /// # Errors
    /// Shapes that do not fit; a length outside `1..=T`.
    pub fn forward(&self, x: &Tensor, lens: &[usize]) -> Result<BiLstmOutput> {
        let inp = self.input[0].dim(1)?;
        expect_shape("BiLstm::forward: x", x, &[Some(lens.len()), None, Some(inp)], "(B = lens, T, input)")?;
        let (b, t, _) = x.dims3()?;
        let steps = lens.iter().copied().max().unwrap_or(0);
        if steps > t || lens.contains(&0) {
            return Err(Error::Shape {
                what: "BiLstm::forward: lens",
                expected: format!("(B,) of lengths in 1..={t}"),
                got: lens.to_vec(),
            });
        }
        // Both directions advance together, and all inputs are projected in one product: step t of the reverse direction reads
        // element len - 1 - t.
        let (h, dev) = (self.hidden, x.device());
        let rows = |index: Vec<u32>| Tensor::new(index, dev);
        let reversed = |s: usize, i: usize| if s < lens[i] { lens[i] - 1 - s } else { s };

        let order = (0..2).flat_map(|d| (0..steps).flat_map(move |s| (0..b).map(move |i| (d, s, i))));
        let read = order.map(|(d, s, i)| (i * t + if d == 0 { s } else { reversed(s, i) }) as u32);
        let x = x.contiguous()?.reshape((b * t, inp))?.index_select(&rows(read.collect())?, 0)?;
        let bias = Tensor::stack(
            &[(&self.bias[0][0] + &self.bias[0][1])?, (&self.bias[1][0] + &self.bias[1][1])?],
            0,
        )?;
        let weight = |w: &[Tensor; 2]| Tensor::stack(w, 0)?.transpose(1, 2)?.contiguous();
        let gates = x.reshape((2, steps * b, inp))?.matmul(&weight(&self.input)?)?; // (2, steps B, 4 hidden)
        let gates = gates.broadcast_add(&bias.unsqueeze(1)?)?;

        let states = ops::lstm(&gates.reshape((2, steps, b, 4 * h))?, &weight(&self.state)?)?; // (2, steps, B, hidden)
        let zeros = Tensor::zeros((1, h), x.dtype(), dev)?; // what padding reads
        let states = Tensor::cat(&[states.reshape((2 * steps * b, h))?, zeros], 0)?;

        let at = |s: usize, d: usize, i: usize| ((d * steps + s) * b + i) as u32;
        let padding = (2 * steps * b) as u32;
        let mut every = Vec::with_capacity(2 * b * t);
        for (i, len) in lens.iter().enumerate() {
            for s in 0..t {
                every.extend(if s < *len { [at(s, 0, i), at(len - 1 - s, 1, i)] } else { [padding; 2] });
            }
        }
        let last = lens.iter().enumerate().flat_map(|(i, len)| [at(len - 1, 0, i), at(len - 1, 1, i)]);
        Ok(BiLstmOutput {
            states: states.index_select(&rows(every)?, 0)?.reshape((b, t, 2 * h))?,
            last: states.index_select(&rows(last.collect())?, 0)?.reshape((b, 2 * h))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use drgan_tensor::testing::{Tol, assert_close, assert_grad};
    use drgan_tensor::{Ctx, Mode, ParamStore};

    fn layer(dtype: DType) -> Result<BiLstm> {
        BiLstm::new(3, 2, ParamStore::seeded(3).builder(dtype, &Device::Cpu))
    }

    #[test]
    fn gradients_of_every_output() -> Result<()> {
        let (lstm, mut ctx) = (layer(DType::F64)?, Ctx::new(Mode::Eval, 1));
        let x = ctx.randn((2, 3, 3), DType::F32, &Device::Cpu)?;
        let weight = ctx.randn((2, 3, 4), DType::F32, &Device::Cpu)?.to_dtype(DType::F64)?;
        let f = |x: &Tensor| {
            let out = lstm.forward(x, &[3, 1])?;
            Ok(((out.states * &weight)?.sum_all()? + out.last.sqr()?.sum_all()?)?)
        };
        assert_grad("BiLstm", &x, f, Tol { rtol: 1e-6, atol: 1e-8 })
    }

    #[test]
    fn padding_is_neither_read_nor_written() -> Result<()> {
        let (lstm, mut ctx) = (layer(DType::F32)?, Ctx::new(Mode::Eval, 2));
        let x = ctx.randn((1, 4, 3), DType::F32, &Device::Cpu)?;
        let long = lstm.forward(&x, &[2])?;
        let short = lstm.forward(&x.narrow(1, 0, 2)?, &[2])?;
        assert_close("last", &long.last, &short.last, Tol::EXACT)?;
        assert_close("states", &long.states.narrow(1, 0, 2)?, &short.states, Tol::EXACT)?;
        assert_eq!(long.states.narrow(1, 2, 2)?.abs()?.sum_all()?.to_scalar::<f32>()?, 0.);
        Ok(())
    }

    #[test]
    fn lengths_are_checked() -> Result<()> {
        let x = Tensor::zeros((2, 4, 3), DType::F32, &Device::Cpu)?;
        for lens in [&[5, 1][..], &[0, 1], &[1]] {
            assert!(layer(DType::F32)?.forward(&x, lens).is_err(), "{lens:?}");
        }
        Ok(())
    }
}
