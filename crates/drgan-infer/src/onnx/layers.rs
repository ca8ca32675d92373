//! The layers of text encoder and generator as operators, their weights taken by name.
use super::graph::{Attribute, Graph, Value};
use candle_core::{D, DType, Tensor};
use drgan_tensor::weights::Tensors;
use drgan_tensor::{Error, Result};

/// Added to the variance by every batch norm of the generator.
const EPS: f64 = 1e-5;

/// Weights under a prefix.
#[derive(Clone, Debug)]
pub(super) struct Weights<'a> {
    all: &'a Tensors,
    prefix: String,
}

impl<'a> Weights<'a> {
    pub(super) fn new(all: &'a Tensors) -> Self {
        Self { all, prefix: String::new() }
    }

    /// Those whose names go on with `name`.
    pub(super) fn pp(&self, name: impl std::fmt::Display) -> Self {
        Self { all: self.all, prefix: format!("{}{name}.", self.prefix) }
    }

    pub(super) fn get(&self, name: &str) -> Result<Tensor> {
        let name = self.name(name);
        let found =
            self.all.get(&name).ok_or_else(|| Error::Weights { missing: vec![name], unexpected: vec![] })?;
        // Folded in double precision.
        Ok(found.to_dtype(DType::F64)?)
    }

    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Factor and summand per channel of a batch norm in evaluation.
fn folded(norm: &Weights<'_>) -> Result<(Tensor, Tensor)> {
    let scale = (norm.get("weight")? / (norm.get("running_var")? + EPS)?.sqrt()?)?;
    let shift = (norm.get("bias")? - (norm.get("running_mean")? * &scale)?)?;
    Ok((scale, shift))
}

/// A convolution that keeps the map's size, with the batch norm after it folded in.
pub(super) fn conv(
    g: &mut Graph,
    x: &Value,
    conv: &Weights<'_>,
    norm: Option<&Weights<'_>>,
) -> Result<Value> {
    let (mut weight, mut bias) = (conv.get("weight")?, conv.get("bias").ok());
    if let Some(norm) = norm {
        let (scale, shift) = folded(norm)?;
        weight = weight.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?;
        bias = Some(match bias {
            Some(bias) => ((bias * scale)? + shift)?,
            None => shift,
        });
    }
    let kernel = weight.dim(2)? as i64;
    let padding = kernel / 2;
    let weight = g.weights(&conv.name("weight"), &weight)?;
    let bias = bias.map(|bias| g.weights(&conv.name("bias"), &bias)).transpose()?;
    let inputs: Vec<&Value> = [x, &weight].into_iter().chain(&bias).collect();
    let attributes =
        [("kernel_shape", Attribute::Ints(&[kernel; 2])), ("pads", Attribute::Ints(&[padding; 4]))];
    Ok(g.op("Conv", &inputs, &attributes))
}

/// The gated linear unit: the first half of the channels times the sigmoid of the second.
pub(super) fn glu(g: &mut Graph, x: &Value) -> Value {
    let [value, gate] = halves(g, x);
    let gate = g.op("Sigmoid", &[&gate], &[]);
    g.op("Mul", &[&value, &gate], &[])
}

pub(super) fn halves(g: &mut Graph, x: &Value) -> [Value; 2] {
    g.ops("Split", &[x], &[("axis", Attribute::Int(1))])
}

/// `x W^T + b` with the batch norm after it folded in.
pub(super) fn linear(
    g: &mut Graph,
    x: &Value,
    linear: &Weights<'_>,
    norm: Option<&Weights<'_>>,
) -> Result<Value> {
    let (mut weight, mut bias) = (linear.get("weight")?, linear.get("bias").ok());
    if let Some(norm) = norm {
        let (scale, shift) = folded(norm)?;
        weight = weight.broadcast_mul(&scale.unsqueeze(1)?)?;
        bias = Some(shift);
    }
    let weight = g.weights(&linear.name("weight"), &weight)?;
    let bias = bias.map(|bias| g.weights(&linear.name("bias"), &bias)).transpose()?;
    let inputs: Vec<&Value> = [x, &weight].into_iter().chain(&bias).collect();
    Ok(g.op("Gemm", &inputs, &[("transB", Attribute::Int(1))]))
}

/// Twice the side by nearest neighbour.
pub(super) fn upsample(g: &mut Graph, x: &Value) -> Result<Value> {
    let scales = g.floats(&[4], &[1., 1., 2., 2.])?;
    let attributes = [
        ("mode", Attribute::Text("nearest")),
        ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
        ("nearest_mode", Attribute::Text("floor")),
    ];
    Ok(g.op("Resize", &[x, &Graph::none(), &scales], &attributes))
}

/// The up-block: twice the side, convolution, batch norm, GLU.
pub(super) fn up_block(g: &mut Graph, x: &Value, block: &Weights<'_>) -> Result<Value> {
    let x = upsample(g, x)?;
    let y = conv(g, &x, &block.pp(1), Some(&block.pp(2)))?;
    Ok(glu(g, &y))
}

/// Residual blocks, one after another.
pub(super) fn residual_blocks(g: &mut Graph, x: &Value, count: usize, blocks: &Weights<'_>) -> Result<Value> {
    let mut x = x.clone();
    for i in 0..count {
        let block = blocks.pp(i).pp("block");
        let y = conv(g, &x, &block.pp(0), Some(&block.pp(1)))?;
        let y = glu(g, &y);
        let y = conv(g, &y, &block.pp(3), Some(&block.pp(4)))?;
        x = g.op("Add", &[&y, &x], &[]);
    }
    Ok(x)
}

/// The bi-directional LSTM over embeddings `(T, B, I)` with lengths `(B,)`: states `(T, 2, B, H)` and last states `(2, B, H)`.
pub(super) fn bi_lstm(g: &mut Graph, x: &Value, lens: &Value, rnn: &Weights<'_>) -> Result<[Value; 2]> {
    let both = |name: &str| -> Result<Tensor> {
        let directions = ["", "_reverse"].map(|end| reordered(&rnn.get(&format!("{name}{end}"))?));
        let [forward, reverse] = directions;
        Ok(Tensor::stack(&[forward?, reverse?], 0)?)
    };
    let bias = Tensor::cat(&[both("bias_ih_l0")?, both("bias_hh_l0")?], D::Minus1)?;
    let state = both("weight_hh_l0")?;
    let hidden = state.dim(2)? as i64;
    let input = g.weights(&rnn.name("weight_ih"), &both("weight_ih_l0")?)?;
    let state = g.weights(&rnn.name("weight_hh"), &state)?;
    let bias = g.weights(&rnn.name("bias"), &bias)?;
    let attributes =
        [("hidden_size", Attribute::Int(hidden)), ("direction", Attribute::Text("bidirectional"))];
    Ok(g.ops("LSTM", &[x, &input, &state, &bias, lens], &attributes))
}

/// Rows of the gates i, f, g, o of PyTorch as ONNX has them: i, o, f, g.
fn reordered(t: &Tensor) -> Result<Tensor> {
    let [i, f, cell, o] = <[Tensor; 4]>::try_from(t.chunk(4, 0)?)
        .map_err(|all| Error::input(format!("an LSTM has four gates, not {}", all.len())))?;
    Ok(Tensor::cat(&[i, o, f, cell], 0)?)
}
