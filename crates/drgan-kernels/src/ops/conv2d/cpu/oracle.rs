//! Convolutions by plain loops in f64: what the algorithms are compared with.
use crate::cpu::simd::Isa;
use crate::ops::conv2d::shape::ConvShape;

/// Values in [-1, 1] with nothing special about them.
pub(crate) fn values(n: usize, seed: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.73 + seed).sin()).collect()
}

/// `f(output place, input place, kernel place)` for all that meet.
pub(crate) fn each_term(g: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let taps = g.kh * g.kw;
    let (ih, iw) = if g.upsample { (g.h / 2, g.w / 2) } else { (g.h, g.w) };
    for (b, o, c) in (0..g.b * g.o * g.c).map(|i| (i / (g.o * g.c), i / g.c % g.o, i % g.c)) {
        for (y, x, t) in (0..g.oh * g.ow * taps).map(|i| (i / taps / g.ow, i / taps % g.ow, i % taps)) {
            let (u, v) = (y * g.stride + t / g.kw, x * g.stride + t % g.kw);
            let (u, v) = (u.wrapping_sub(g.padding.top), v.wrapping_sub(g.padding.left));
            if u < g.h && v < g.w {
                let (u, v) = if g.upsample { (u / 2, v / 2) } else { (u, v) };
                let from = ((b * g.c + c) * ih + u) * iw + v;
                f(((b * g.o + o) * g.oh + y) * g.ow + x, from, (o * g.c + c) * taps + t);
            }
        }
    }
}

/// A sum and the sum of its terms' magnitudes, which is what rounding errors go by.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum(pub(crate) f64, pub(crate) f64);

impl Sum {
    pub(crate) fn add(&mut self, x: f32, y: f32) {
        let term = f64::from(x) * f64::from(y);
        self.0 += term;
        self.1 += term.abs();
    }
}

pub(crate) fn close(what: &str, got: &[f32], want: &[Sum], isa: Isa) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want.iter().map(|w| w.1).fold(1e-3, f64::max);
    for (i, (g, Sum(w, _))) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*g) - w).abs() <= 1e-5 * scale, "{what} on {isa:?}: [{i}] is {g}, expected {w}");
    }
}

/// A convolution of made-up values: input, weight and the output's gradient, with the output and both gradients.
pub(crate) struct Convolved {
    pub(crate) x: Vec<f32>,
    pub(crate) w: Vec<f32>,
    pub(crate) dy: Vec<f32>,
    pub(crate) y: Vec<Sum>,
    pub(crate) dx: Vec<Sum>,
    pub(crate) dw: Vec<Sum>,
}

pub(crate) fn convolved(g: &ConvShape) -> Convolved {
    let input = if g.upsample { g.h * g.w / 4 } else { g.h * g.w };
    let (x, w) = (values(g.b * g.c * input, 0.1), values(g.o * g.c * g.kh * g.kw, 0.2));
    let dy = values(g.b * g.o * g.oh * g.ow, 0.3);
    let sums = |n: usize| vec![Sum::default(); n];
    let (mut y, mut dx, mut dw) = (sums(dy.len()), sums(x.len()), sums(w.len()));
    each_term(g, |to, from, k| {
        y[to].add(x[from], w[k]);
        dx[from].add(dy[to], w[k]);
        dw[k].add(dy[to], x[from]);
    });
    Convolved { x, w, dy, y, dx, dw }
}
