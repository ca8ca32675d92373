//! Where the pixels of a resized row lie in the row it is made of.

use crate::ops::conv2d::shape::expect_values;
use candle_core::{Result, Tensor, bail};

/// Refuses sides of 0, and results or matrices of weights that are too large.
pub(super) fn check_sides(x: &Tensor, h: usize, w: usize) -> Result<()> {
    let (b, c, hi, wi) = x.dims4()?;
    if [h, w, hi, wi].contains(&0) {
        bail!("resize_bilinear: cannot resize {hi}x{wi} to {h}x{w}")
    }
    expect_values("resize_bilinear: result", &[b, c, h.max(hi), w.max(wi)])?;
    expect_values("resize_bilinear: rows", &[h, hi])?;
    expect_values("resize_bilinear: columns", &[w, wi])
}

/// Refuses sides that are no whole multiple of the sides to make.
pub(super) fn check_multiple(x: &Tensor, h: usize, w: usize) -> Result<()> {
    let (_, _, hi, wi) = x.dims4()?;
    if h == 0 || w == 0 || hi == 0 || wi == 0 || hi % h != 0 || wi % w != 0 {
        bail!("resize_area: {hi}x{wi} is not a whole multiple of {h}x{w}")
    }
    Ok(())
}

/// Where an output pixel lies between two input pixels, and their weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    pub(super) lo: usize,
    pub(super) hi: usize,
    pub(super) w_lo: f64,
    pub(super) w_hi: f64,
}

/// The places of `out` pixels among `inp`.
pub(super) fn between(inp: usize, out: usize, align_corners: bool) -> Vec<Between> {
    let at = |o: usize| {
        let src = match (align_corners, out) {
            (true, 1) => 0.,
            (true, _) => o as f64 * (inp - 1) as f64 / (out - 1) as f64,
            (false, _) => ((o as f64 + 0.5) * inp as f64 / out as f64 - 0.5).max(0.),
        };
        let lo = (src.floor() as usize).min(inp - 1);
        let w_hi = src - lo as f64;
        Between { lo, hi: (lo + 1).min(inp - 1), w_lo: 1. - w_hi, w_hi }
    };
    (0..out).map(at).collect()
}

/// The same places as a line: pixel `o` at `o slope + start`, or at 0 where that is negative, as `(slope, start)`.
pub(super) fn line(inp: usize, out: usize, align_corners: bool) -> (f64, f64) {
    match (align_corners, out) {
        (true, 1) => (0., 0.),
        (true, _) => ((inp - 1) as f64 / (out - 1) as f64, 0.),
        (false, _) => {
            let slope = inp as f64 / out as f64;
            (slope, slope / 2. - 0.5)
        }
    }
}
