//! Element-wise work on rows: an activation after a scale and shift, its gradient, and sums of rows.
use crate::cpu::multiversion::multiversion;
use crate::ops::activation::kind::Activation;
use crate::ops::activation::scalar;

/// `scale x + shift` of one row.
#[derive(Clone, Copy)]
pub(crate) struct Affine {
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

impl Affine {
    pub(crate) const IDENTITY: Self = Self { scale: 1., shift: 0. };

    #[inline(always)]
    fn at(self, x: f32) -> f32 {
        self.scale * x + self.shift
    }
}

multiversion! {
    /// `y = act(affine(x))` for every activation but the gated one.
    fn activate_row(act: Activation, x: &[f32], by: Affine, y: &mut [f32]) {
        scalar::activate(act, x.iter().map(|x| by.at(*x)), y);
    }
}

multiversion! {
    /// `y = affine_a(a) sigmoid(affine_b(b))`.
    fn gate_row(a: &[f32], by_a: Affine, b: &[f32], by_b: Affine, y: &mut [f32]) {
        scalar::glu(a.iter().map(|a| by_a.at(*a)), b.iter().map(|b| by_b.at(*b)), y);
    }
}

multiversion! {
    /// `dz`, the gradient of `z = affine(x)`, from `dy`, the gradient of `act(z)`.
    fn activate_gradient_row(act: Activation, x: &[f32], by: Affine, dy: &[f32], dz: &mut [f32]) {
        scalar::gradient(act, x.iter().map(|x| by.at(*x)), dy, dz);
    }
}

multiversion! {
    /// The gradients of both halves of a gate.
    fn gate_gradient_row(
        a: &[f32],
        by_a: Affine,
        b: &[f32],
        by_b: Affine,
        dy: &[f32],
        da: &mut [f32],
        db: &mut [f32],
    ) {
        scalar::glu_gradient(a.iter().map(|a| by_a.at(*a)), b.iter().map(|b| by_b.at(*b)), dy, (da, db));
    }
}

multiversion! {
    /// `dz = scale (dz - mean_dz - (x - mean) slope)`: batch normalization's gradient, in place.
    fn normalize_gradient_row(dz: &mut [f32], x: &[f32], scale: f32, mean_dz: f32, mean: f32, slope: f32) {
        for (dz, x) in dz.iter_mut().zip(x) {
            *dz = scale * (*dz - mean_dz - (x - mean) * slope);
        }
    }
}

multiversion! {
    /// `y += a x`.
    fn add_row(x: &[f32], a: f32, y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
    }
}

multiversion! {
    /// `y = a x + b z`.
    fn blend_row(x: &[f32], a: f32, z: &[f32], b: f32, y: &mut [f32]) {
        for ((y, x), z) in y.iter_mut().zip(x).zip(z) {
            *y = a * x + b * z;
        }
    }
}

multiversion! {
    /// The larger of both, in place; NaN counts as larger.
    fn max_row(x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
    }
}

multiversion! {
    /// `x *= scale`.
    fn scale_row(x: &mut [f32], scale: f32) {
        x.iter_mut().for_each(|x| *x *= scale);
    }
}
