//! Convolution of stride 1 in bf16 with f32 sums on Intel's matrix unit (AMX), for inference.
//!
//! The input is rounded to bf16 band by band ([`load`]), sums of 32 pixels and 32 channels come from tiles
//! ([`products`]), and are finished while they are in the L1 cache ([`store`]); [`plan`] says where everything lies.
//! Upsampled maps are four convolutions of the small map with two by two taps. How work is cut depends on shapes only.
mod lanes;
mod load;
mod plan;
mod products;
mod store;
#[cfg(test)]
mod tests;
mod unit;
mod weights;

use crate::cpu::scratch::with_scratch;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::{ConvShape, Panel};
use plan::Plan;
use products::{Position, SIDE, Sums, products};
use rayon::prelude::*;
use store::{Shift, Target, store, store_upsampled};
use unit::Tiles;
pub(crate) use unit::available;
pub(crate) use weights::Weights;

/// Whether [`forward`] takes convolutions of this shape.
pub(crate) fn takes(g: &ConvShape) -> bool {
    Plan::takes(g)
}

/// `act(conv(x, weight) + shift) + residual`; `x` `(B, C, H, W)`, result `(B, O', H', W')`.
///
/// Panics where the unit is not [`available`], or for sizes that do not fit each other.
pub(crate) fn forward(g: &ConvShape, weights: &Weights, x: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
    let plan = Plan::new(g);
    let glu = epilogue.act == Activation::Glu;
    let outputs = epilogue.act.channels_out(g.o);
    let len = g.b * outputs * g.oh * g.ow;
    assert!(weights.fit(g, plan.steps()), "the weights are of another convolution");
    assert!(!glu || g.o.is_multiple_of(2), "a gated linear unit of {} channels", g.o);
    assert_eq!(x.len(), g.b * g.c * plan.h * plan.w, "input");
    assert!(epilogue.shift.is_none_or(|s| s.len() == g.o), "shift");
    assert!(epilogue.residual.is_none_or(|p| p.len() == len), "residual");
    let shifts: Vec<Shift> = (0..weights.tiles()).map(|t| shift(weights.channels(t), epilogue)).collect();
    let mut y = Vec::with_capacity(len);
    let target = Target {
        y: y.as_mut_ptr(),
        residual: epilogue.residual.map_or(std::ptr::null(), <[f32]>::as_ptr),
        area: g.oh * g.ow,
    };
    let job = Job { plan, weights, shifts, target, outputs, act: epilogue.act };
    let bands = job.plan.bands(g.b);
    let pairs = weights.tiles() / 2;
    let shares = Plan::shares(bands.len(), pairs);
    (0..bands.len() * shares).into_par_iter().with_max_len(1).for_each(|task| {
        let (band, share) = (bands[task / shares], task % shares);
        let positions = job.plan.blocks * job.plan.plane(band);
        with_positions(positions, |planes| {
            load::load(&job.plan, band, x, g.c, planes);
            job.run(band, planes, pairs * share / shares..pairs * (share + 1) / shares);
        });
    });
    // SAFETY: bands hold every pixel, and shares every channel, so all `len` values have been written.
    unsafe { y.set_len(len) };
    y
}

/// The shift of a tile's channels.
fn shift((first, count): (usize, usize), epilogue: &Epilogue<'_>) -> Shift {
    let mut values = [0.; SIDE];
    if let Some(shift) = epilogue.shift {
        values[..count].copy_from_slice(&shift[first..first + count]);
    }
    Shift(values)
}

/// Lends `f` so many positions of any content.
fn with_positions<R>(len: usize, f: impl FnOnce(&mut [Position]) -> R) -> R {
    const VALUES: usize = size_of::<Position>() / size_of::<f32>();
    with_scratch((len + 1) * VALUES, |scratch| {
        // SAFETY: a position is 64 bytes of anything, as are sixteen values.
        let (_, positions, _) = unsafe { scratch.align_to_mut::<Position>() };
        f(&mut positions[..len])
    })
}

/// What all tasks of one convolution share.
struct Job<'a> {
    plan: Plan,
    weights: &'a Weights,
    shifts: Vec<Shift>,
    target: Target,
    outputs: usize,
    act: Activation,
}

impl Job<'_> {
    /// Some pairs of tiles of output channels, of one band.
    fn run(&self, band: Panel, planes: &[Position], pairs: std::ops::Range<usize>) {
        let tiles = self.plan.tiles(band, self.outputs * self.target.area);
        let phases: Vec<_> = (0..self.plan.taps.len()).map(|p| self.plan.offsets(band, p)).collect();
        let unit = Tiles::configure();
        let mut sums = [Sums::ZERO; 2];
        let scale = self.plan.scale;
        for pair in pairs {
            let pair = if self.act == Activation::Glu {
                [pair, pair + self.weights.tiles() / 2]
            } else {
                [2 * pair, 2 * pair + 1]
            };
            for py in 0..scale {
                // The row that this phase makes, of those that a position makes.
                let y = py * scale * self.plan.cols();
                let target = Target {
                    y: self.target.y.wrapping_add(y),
                    residual: if self.target.residual.is_null() {
                        self.target.residual
                    } else {
                        self.target.residual.wrapping_add(y)
                    },
                    ..self.target
                };
                for two in tiles.chunks(2) {
                    let at = [&two[0], &two[two.len() - 1]].map(|t| &raw const planes[t.at]);
                    for (px, sums) in sums.iter_mut().enumerate().take(scale) {
                        let phase = py * scale + px;
                        let channels = pair.map(|t| self.weights.of(phase, t).as_ptr());
                        // SAFETY: planes have room for all taps of all tiles (`Plan::plane`); the weights have a tile
                        // for each of the offsets, of which there are as many as steps (`Weights::fit`).
                        unsafe { products(&unit, &phases[phase], at, channels, sums) };
                    }
                    for (p, tile) in two.iter().enumerate() {
                        self.finish(target, &sums, p, pair, &tile.segments);
                    }
                }
            }
        }
    }

    fn finish(
        &self,
        target: Target,
        sums: &[Sums; 2],
        p: usize,
        pair: [usize; 2],
        segments: &[plan::Segment],
    ) {
        let glu = self.act == Activation::Glu;
        for t in 0..if glu { 1 } else { 2 } {
            // The tile's channels, and the gate's for a gated linear unit.
            let both = [t, 1];
            let shift = both.map(|t| &self.shifts[pair[t]]);
            let of = |px: usize| both.map(|t| &sums[px].0[p][t]);
            let channels = self.weights.channels(pair[t]);
            // SAFETY: AVX-512 is there, or `products` could not have run. The channels are the result's: a gated unit's
            // first halves, or all. Segments lie in the result and are this band's alone; shares of channels are disjoint.
            unsafe {
                if self.plan.scale == 1 {
                    store(target, channels, segments, of(0), shift, self.act);
                } else {
                    store_upsampled(target, channels, segments, [of(0), of(1)], shift, self.act);
                }
            }
        }
    }
}
