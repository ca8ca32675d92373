//! The recurrence of an LSTM in candle's own operations.
use candle_core::{D, Result, Tensor};
use candle_nn::ops::sigmoid;

/// Reference implementation of [`lstm`](crate::lstm).
///
/// # Errors
/// Those of [`lstm`](crate::lstm).
pub fn lstm(gates: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (l, steps, b, width) = gates.dims4()?;
    let (gates, h) = (gates.reshape((l, steps * b, width))?, width / 4);
    let weight = weight.contiguous()?; // a product sums in another order where it is not
    let mut state: Option<(Tensor, Tensor)> = None;
    let mut states = Vec::with_capacity(steps);
    for s in 0..steps {
        let mut g = gates.narrow(1, s * b, b)?; // (L, B, 4 hidden)
        if let Some((h_prev, _)) = &state {
            g = (g + h_prev.matmul(&weight)?)?;
        }
        let input_forget = sigmoid(&g.narrow(D::Minus1, 0, 2 * h)?)?;
        let new = g.narrow(D::Minus1, 2 * h, h)?.tanh()?;
        let mut c = (input_forget.narrow(D::Minus1, 0, h)? * new)?;
        if let Some((_, c_prev)) = &state {
            c = (c + (input_forget.narrow(D::Minus1, h, h)? * c_prev)?)?;
        }
        let out = (sigmoid(&g.narrow(D::Minus1, 3 * h, h)?)? * c.tanh()?)?;
        states.push(out.clone());
        state = Some((out, c));
    }
    Tensor::stack(&states, 1)
}
