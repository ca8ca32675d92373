//! Means of the softplus on CUDA devices: see softplus.cu.
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::op::{Gradient, Op, Pass, apply};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape, Tensor, bail};

/// Tensors that a launch takes.
const MOST: usize = 3;

pub(super) fn softplus_means(xs: &[&Tensor], negated: bool, divisor: f64) -> Result<Tensor> {
    match *xs {
        [x] => apply(Means { negated, divisor }, [x]),
        [x, y] => apply(Means { negated, divisor }, [x, y]),
        [x, y, z] => apply(Means { negated, divisor }, [x, y, z]),
        _ => bail!("softplus_means: {} tensors are more than a launch takes", xs.len()),
    }
}

/// The sum of the means over some tensors.
struct Means {
    negated: bool,
    divisor: f64,
}

/// An argument for each of some tensors, and null or 0 for those that there are not.
fn filled<'a>(given: impl IntoIterator<Item = Arg<'a>>, empty: Arg<'a>) -> [Arg<'a>; MOST] {
    let mut all = [empty; MOST];
    all.iter_mut().zip(given).for_each(|(arg, given)| *arg = given);
    all
}

/// The tensors' values, and how many there are of each.
fn inputs<'a, const N: usize>(xs: [View<'a>; N]) -> [Arg<'a>; 2 * MOST] {
    let [x, y, z] = filled(xs.map(Arg::from), Arg::NONE);
    let [of_x, of_y, of_z] = filled(xs.map(|x| Arg::from(x.len())), Arg::from(0usize));
    [x, y, z, of_x, of_y, of_z]
}

impl<const N: usize> Op<N> for Means {
    const NAME: &'static str = "means of the softplus";
    type Saved = ();

    fn output(&self) -> Shape {
        ().into()
    }

    fn forward(&self, queue: &Queue, xs: [View<'_>; N]) -> Result<(Buffer, ())> {
        let mut sum = queue.buffer(1)?;
        let args = [inputs(xs).as_slice(), args![self.negated, self.divisor, &mut sum]].concat();
        queue.launch("softplus_means", Grid::blocks(1), &args)?;
        Ok((sum, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, N, ()>) -> Result<[Gradient; N]> {
        let lens = pass.inputs.map(|x| x.len());
        let mut gradients = [const { None }; N];
        for (gradient, (wanted, len)) in gradients.iter_mut().zip(pass.wanted.into_iter().zip(lens)) {
            *gradient = queue.buffer_if(wanted, len)?;
        }
        let of_inputs = filled(gradients.iter_mut().map(Arg::from), Arg::NONE);
        let args = [
            inputs(pass.inputs).as_slice(),
            args![self.negated, self.divisor, pass.gradient],
            &of_inputs[..],
        ]
        .concat();
        let longest = lens.into_iter().max().unwrap_or(0);
        queue.launch("softplus_means_backward", Grid::threads(longest), &args)?;
        Ok(gradients.map(Gradient::from))
    }
}
