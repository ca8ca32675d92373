//! The linear map on CUDA devices: cuBLAS's matrix products, one for each result, without nodes of their own in the graph.
use crate::node::Passes;
use candle_core::backend::BackendStorage;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};

/// A linear map of these sizes: batch, inputs, outputs.
pub(super) struct Linear(pub(super) (usize, usize, usize));

impl Passes<2> for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn output(&self) -> Shape {
        (self.0.0, self.0.2).into()
    }

    fn on_cuda(&self, [(x, of_x), (w, of_w)]: [(&CudaStorage, &Layout); 2]) -> Result<CudaStorage> {
        let (b, inp, out) = self.0;
        let transposed = Layout::new((inp, out).into(), vec![1, inp], of_w.start_offset());
        x.matmul(w, (1, b, out, inp), of_x, &transposed)
    }

    fn gradients(&self, [x, w]: [&Tensor; 2], _: &Tensor, gradient: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let dx = x.track_op().then(|| gradient.matmul(&w.detach())).transpose()?;
        let dw = w.track_op().then(|| gradient.t()?.matmul(&x.detach())).transpose()?;
        Ok([dx, dw])
    }
}
