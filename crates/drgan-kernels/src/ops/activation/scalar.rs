//! The activations of one value and their derivatives: the only place where f32 paths on the CPU take them from.
//!
//! Everything is `#[inline(always)]`, so that loops are compiled for the instruction set of their caller.
use super::kind::Activation;
use crate::cpu::exp::sigmoid;

/// `max(z, 0)`; NaN stays.
#[inline(always)]
pub(crate) fn relu(z: f32) -> f32 {
    if z < 0. { 0. } else { z }
}

/// `min(max(z, 0), 6)`; NaN stays.
#[inline(always)]
pub(crate) fn relu6(z: f32) -> f32 {
    z.clamp(0., 6.)
}

/// `z` above 0, `slope z` elsewhere; NaN stays.
#[inline(always)]
pub(crate) fn leaky_relu(z: f32, slope: f32) -> f32 {
    if z > 0. { z } else { slope * z }
}

/// `y = act(z)` for every value, unless `act` is gated: then its halves are values of two channels, see [`glu`].
#[inline(always)]
pub(crate) fn activate(act: Activation, z: impl Iterator<Item = f32>, y: &mut [f32]) {
    match act {
        Activation::Identity | Activation::Glu => y.iter_mut().zip(z).for_each(|(y, z)| *y = z),
        Activation::Relu => y.iter_mut().zip(z).for_each(|(y, z)| *y = relu(z)),
        Activation::Relu6 => y.iter_mut().zip(z).for_each(|(y, z)| *y = relu6(z)),
        Activation::LeakyRelu(slope) => {
            let slope = slope as f32;
            y.iter_mut().zip(z).for_each(|(y, z)| *y = leaky_relu(z, slope));
        }
    }
}

/// `y = value sigmoid(gate)` for every value.
#[inline(always)]
pub(crate) fn glu(value: impl Iterator<Item = f32>, gate: impl Iterator<Item = f32>, y: &mut [f32]) {
    y.iter_mut().zip(value).zip(gate).for_each(|((y, value), gate)| *y = value * sigmoid(gate));
}

/// `dz` from `dy`, the gradient of `act(z)`, unless `act` is gated. Where `z` is NaN, `dy` passes.
#[inline(always)]
pub(crate) fn gradient(act: Activation, z: impl Iterator<Item = f32>, dy: &[f32], dz: &mut [f32]) {
    let rows = dz.iter_mut().zip(z).zip(dy);
    match act {
        Activation::Identity | Activation::Glu => dz.copy_from_slice(dy),
        Activation::Relu => rows.for_each(|((dz, z), dy)| *dz = if z <= 0. { 0. } else { *dy }),
        Activation::Relu6 => rows.for_each(|((dz, z), dy)| *dz = if z <= 0. || z >= 6. { 0. } else { *dy }),
        Activation::LeakyRelu(slope) => {
            let slope = slope as f32;
            rows.for_each(|((dz, z), dy)| *dz = if z > 0. { *dy } else { slope * dy });
        }
    }
}

/// The gradients of both halves of a gated linear unit.
#[inline(always)]
pub(crate) fn glu_gradient(
    value: impl Iterator<Item = f32>,
    gate: impl Iterator<Item = f32>,
    dy: &[f32],
    (d_value, d_gate): (&mut [f32], &mut [f32]),
) {
    for ((((d_value, d_gate), value), gate), dy) in
        d_value.iter_mut().zip(d_gate).zip(value).zip(gate).zip(dy)
    {
        let s = sigmoid(gate);
        *d_value = dy * s;
        *d_gate = dy * value * s * (1. - s);
    }
}
