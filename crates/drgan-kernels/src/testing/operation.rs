//! An operation with inputs to call it with, and what comes out.
use crate::backward;
use candle_core::{DType, Device, Result, Tensor, Var, bail};

/// What an operation gives for its inputs, the first of them variables.
pub(super) type Call = fn(&[Tensor]) -> Result<Vec<Tensor>>;

/// How the values of an operation's inputs are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// In [-1, 1].
    Around0,
    /// In [1/2, 3/2], for sums that must not cancel.
    Positive,
    /// Each input around another number and with another spread, for statistics that must differ.
    Apart,
}

/// An operation, inputs for it, and how exact a device has to be.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The public function's name; behind a comma, what is special about the call.
    pub name: &'static str,
    /// How far a value or gradient in f32 may be from the one in f64, as a part of the largest, or of 1.
    pub tolerance: f64,
    /// Whether the factors of its products are rounded on a device that computes in TF32 or bf16.
    pub rounds: bool,
    /// Whether its reference in place of a kernel is counted. Not where one composition serves the CPU in every type.
    pub is_counted: bool,
    /// Whether it is a convolution, which a CUDA device has two ways to compute: `testing::convolve_by_columns`.
    pub convolves: bool,
    shapes: Vec<Vec<usize>>,
    gradients: usize,
    spread: Spread,
    call: Call,
}

/// What an operation gave.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The results; for an operation that changes tensors in place, these.
    pub values: Vec<Tensor>,
    /// Gradients of a sum over all values of the results with fixed factors, for each input that has one.
    pub gradients: Vec<Tensor>,
}

impl Evaluated {
    /// All tensors with what they are: `value 0`, `gradient 1`.
    pub fn named(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let values = self.values.iter().enumerate().map(|(i, t)| (format!("value {i}"), t));
        values.chain(self.gradients.iter().enumerate().map(|(i, t)| (format!("gradient {i}"), t)))
    }
}

impl Operation {
    /// An operation of inputs of these shapes, all of which have gradients.
    pub(super) fn new(name: &'static str, shapes: &[&[usize]], call: Call) -> Self {
        Self {
            name,
            tolerance: 1e-5,
            rounds: false,
            is_counted: true,
            convolves: false,
            shapes: shapes.iter().map(|shape| shape.to_vec()).collect(),
            gradients: shapes.len(),
            spread: Spread::Around0,
            call,
        }
    }

    /// Only the first `n` inputs have gradients.
    #[must_use]
    pub(super) fn gradients_of(self, n: usize) -> Self {
        Self { gradients: n, ..self }
    }

    #[must_use]
    pub(super) fn within(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    #[must_use]
    pub(super) fn rounding(self) -> Self {
        Self { rounds: true, ..self }
    }

    #[must_use]
    pub(super) fn convolving(self) -> Self {
        Self { convolves: true, ..self }
    }

    #[must_use]
    pub(super) fn uncounted(self) -> Self {
        Self { is_counted: false, ..self }
    }

    #[must_use]
    pub(super) fn positive(self) -> Self {
        Self { spread: Spread::Positive, ..self }
    }

    #[must_use]
    pub(super) fn apart(self) -> Self {
        Self { spread: Spread::Apart, ..self }
    }

    /// The public function's name.
    pub fn function(&self) -> &'static str {
        self.name.split(',').next().unwrap_or(self.name)
    }

    /// The inputs on a device; the values are the same on each.
    fn inputs(&self, device: &Device, dtype: DType) -> Result<Vec<Tensor>> {
        let input = |(i, shape): (usize, &Vec<usize>)| {
            let values = random(shape, i + 1);
            let spread: Vec<f32> = match self.spread {
                Spread::Around0 => values,
                Spread::Positive => values.into_iter().map(|v| 1. + v / 2.).collect(),
                Spread::Apart => values.into_iter().map(|v| (v + 1.) * (i as f32 + 1.)).collect(),
            };
            Tensor::from_vec(spread, shape.as_slice(), device)?.to_dtype(dtype)
        };
        self.shapes.iter().enumerate().map(input).collect()
    }

    /// Calls it on a device in a type.
    ///
    /// # Errors
    /// What the operation reports; an input without a gradient that should have one.
    pub fn evaluate(&self, device: &Device, dtype: DType) -> Result<Evaluated> {
        let mut inputs = self.inputs(device, dtype)?;
        for input in &mut inputs[..self.gradients] {
            *input = Var::from_tensor(input)?.into_inner();
        }
        let values = (self.call)(&inputs)?;
        if self.gradients == 0 {
            return Ok(Evaluated { values, gradients: Vec::new() });
        }
        let mut sum: Option<Tensor> = None;
        for (i, value) in values.iter().enumerate().filter(|(_, value)| value.track_op()) {
            let value = value.flatten_all()?; // candle sums no scalar on CUDA devices
            let factors = random(value.dims(), 100 + i);
            let factors = Tensor::from_vec(factors, value.dims(), device)?.to_dtype(dtype)?;
            let part = (value * factors)?.sum_all()?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        let Some(sum) = sum else { bail!("{}: no result depends on an input", self.name) };
        let found = backward(&sum)?;
        let gradient = |(i, input): (usize, &Tensor)| match found.get(input) {
            Some(gradient) => Ok(gradient.clone()),
            None => bail!("{}: no gradient of input {i}", self.name),
        };
        let gradients = inputs[..self.gradients].iter().enumerate().map(gradient).collect::<Result<_>>()?;
        Ok(Evaluated { values: values.iter().map(Tensor::detach).collect(), gradients })
    }
}

/// Values in [-1, 1) that follow from the seed alone and look random: SplitMix64's.
fn random(shape: &[usize], seed: usize) -> Vec<f32> {
    let value = |i: usize| {
        let mut z = ((seed as u64) << 32 | i as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.
    };
    (0..shape.iter().product()).map(value).collect()
}
