//! Every form, on every register type, against plain loops in f64.
use super::*;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::Padding;
use crate::ops::conv2d::cpu::oracle::{Convolved, Sum, close, convolved, each_term, values};
use proptest::prelude::*;

fn geometry() -> impl Strategy<Value = ConvShape> {
    let sizes = (1usize..4, 1usize..40, 1usize..70, 1usize..24, 1usize..40);
    (sizes, any::<bool>(), [0usize..3, 0usize..3, 0usize..3, 0usize..3]).prop_filter_map(
        "a kernel that fits",
        |((b, c, o, h, w), upsample, p)| {
            let p = if upsample { [1; 4] } else { p };
            let padding = Padding { top: p[0], bottom: p[1], left: p[2], right: p[3] };
            let (h, w) = if upsample { (2 * h, 2 * w) } else { (h, w) };
            let (oh, ow) = ((h + p[0] + p[1]).checked_sub(2)?, (w + p[2] + p[3]).checked_sub(2)?);
            let fits = oh > 0 && ow > 0;
            fits.then_some(ConvShape { b, c, h, w, o, kh: 3, kw: 3, stride: 1, padding, oh, ow, upsample })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_shapes_agree_with_plain_loops(g in geometry()) {
        let Convolved { x, w, dy, y, dx, dw } = convolved(&g);
        for isa in Isa::all() {
            let kernels = transform(isa, &g, &w, None, false);
            close("forward", &forward(isa, &g, &x, &kernels, &Epilogue::bias(None)), &y, isa);
            close("input gradient", &input_gradient(isa, &g, &dy, &w), &dx, isa);
            close("weight gradient", &weight_gradient(isa, &g, &x, &dy), &dw, isa);
        }
    }

    #[test]
    fn an_epilogue_is_what_it_says(g in geometry(), act in 0usize..4) {
        let g = ConvShape { o: 2 * g.o, ..g };
        let act = [Activation::Glu, Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.2)][act];
        let input = if g.upsample { g.h * g.w / 4 } else { g.h * g.w };
        let (x, w) = (values(g.b * g.c * input, 0.1), values(g.o * g.c * 9, 0.2));
        let (scale, shift) = (values(g.o, 0.5), values(g.o, 0.4));
        let mut sums = vec![Sum::default(); g.b * g.o * g.oh * g.ow];
        each_term(&g, |to, from, k| {
            sums[to].add(x[from] * scale[k / (9 * g.c)], w[k]);
        });
        let (channels, pixels) = (act.channels_out(g.o), g.oh * g.ow);
        let residual = values(g.b * channels * pixels, 0.6);
        let want: Vec<Sum> = residual.iter().enumerate().map(|(i, residual)| {
            let (b, o, p) = (i / (channels * pixels), i / pixels % channels, i % pixels);
            let of = |o: usize| sums[(b * g.o + o) * pixels + p];
            let sum = |o: usize| of(o).0 + f64::from(shift[o]);
            let z = sum(o);
            let value = f64::from(*residual) + match act {
                Activation::Glu => z / (1. + (-sum(o + channels)).exp()),
                Activation::Relu => if z < 0. { 0. } else { z },
                Activation::LeakyRelu(slope) => if z > 0. { z } else { slope * z },
                _ => z,
            };
            // A gate's error counts times what it gates; a sigmoid is nowhere steeper than 1/4.
            let gate = if act == Activation::Glu { z.abs() / 4. * (of(o + channels).1 + 1.) } else { 0. };
            Sum(value, of(o).1 + gate + 1.)
        }).collect();
        for isa in Isa::all() {
            let kernels = transform(isa, &g, &w, Some(&scale), act == Activation::Glu);
            let epilogue = Epilogue { shift: Some(&shift), act, residual: Some(&residual) };
            close("finished", &forward(isa, &g, &x, &kernels, &epilogue), &want, isa);
        }
    }
}
