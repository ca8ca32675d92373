//! Where the pixels of a resized row lie in the row it is made of.

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
