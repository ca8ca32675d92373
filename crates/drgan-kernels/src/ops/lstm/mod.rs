//! The recurrence of an LSTM.
mod cuda;
pub(crate) mod reference;

use crate::dispatch::{Backend, backend, fall_back};
use crate::node;
use candle_core::{Result, Tensor, bail};

/// The states of LSTMs that start from zeros: `[i, f, g, o] = gates_s + h_(s-1) W`, `c_s = s(f) c_(s-1) + s(i) tanh(g)`,
/// `h_s = s(o) tanh(c_s)` with s the sigmoid. Several LSTMs, such as the two directions of one, advance together.
///
/// # Shapes
/// `gates`: `(L, S, B, 4 hidden)`, what the inputs of L LSTMs at S steps of B sequences say, biases included; `weight`, W:
/// `(L, hidden, 4 hidden)`; result: `h`, `(L, S, B, hidden)`.
///
/// # Errors
/// Shapes that do not fit.
pub fn lstm(gates: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ((l, s, b, width), (lstms, h, columns)) = (gates.dims4()?, weight.dims3()?);
    if (lstms, columns) != (l, width) || width != 4 * h {
        bail!(
            "lstm: expected gates (L, S, B, 4 hidden) and weight (L, hidden, 4 hidden), got {:?} and {:?}",
            gates.dims(),
            weight.dims()
        )
    }
    let backend = backend("lstm", &[gates, weight])?;
    if gates.elem_count() == 0 {
        return Tensor::zeros((l, s, b, h), gates.dtype(), gates.device());
    }
    match backend {
        Backend::Cuda => node::apply(cuda::Lstm::new(cuda::Sizes { l, s, b, h }), [gates, weight]),
        // Its products, which are the most of it, are fast there.
        Backend::Cpu => reference::lstm(gates, weight),
        _ => fall_back(|| reference::lstm(gates, weight)),
    }
}
