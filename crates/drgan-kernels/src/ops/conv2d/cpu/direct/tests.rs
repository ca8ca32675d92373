//! Any shape, on every register type, against plain loops in f64.
use super::*;
use crate::cpu::simd::Isa;
use crate::ops::conv2d::Padding;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::cpu::oracle::{Convolved, close, convolved};
use crate::ops::conv2d::shape::ConvShape;
use proptest::prelude::*;

fn geometry() -> impl Strategy<Value = ConvShape> {
    let sizes = (1usize..5, 1usize..9, 1usize..15, 1usize..20, 1usize..40);
    let kernel = prop_oneof![Just((3, 3, 1)), Just((4, 4, 2)), (1usize..5, 1usize..5, 1usize..3)];
    (sizes, kernel, [0usize..4, 0usize..4, 0usize..4, 0usize..4]).prop_filter_map(
        "a kernel that fits",
        |((b, c, o, h, w), (kh, kw, stride), [top, bottom, left, right])| {
            let padding = Padding { top, bottom, left, right };
            let oh = (h + top + bottom).checked_sub(kh)? / stride + 1;
            let ow = (w + left + right).checked_sub(kw)? / stride + 1;
            Some(ConvShape { b, c, h, w, o, kh, kw, stride, padding, oh, ow, upsample: false })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_shapes_agree_with_plain_loops(g in geometry()) {
        let Convolved { x, w, dy, y, dx, dw } = convolved(&g);
        for isa in Isa::all() {
            close("forward", &forward(isa, &g, 1, &x, &w, &Epilogue::bias(None)), &y, isa);
            close("input gradient", &input_gradient(isa, &g, 1, &dy, &w), &dx, isa);
            if has_weight_gradient(&g) {
                close("weight gradient", &weight_gradient(isa, &g, &x, &dy), &dw, isa);
            }
        }
    }
}
