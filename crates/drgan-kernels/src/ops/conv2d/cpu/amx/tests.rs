//! Packing and layout by emulation on any machine; the whole on machines that have the unit.
use super::plan::Plan;
use super::products::{BLOCK, Position, SIDE, WeightTile};
use super::weights::bf16;
use super::{Weights, available, forward, load, takes};
use crate::cpu::slices::with_values;
use crate::ops::activation::{Activation, activate};
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::{ConvShape, Panel};
use crate::ops::conv2d::{Conv2dSpec, Padding, reference::conv2d as reference};
use crate::ops::tests::common::{assert_near_largest, random};
use crate::ops::upsample::reference::up_conv2d as up_reference;
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use std::io::Write;

/// Sums of the same products in another order.
const SAME_ROUNDING: f64 = 1e-5;
/// Against inputs and weights that were not rounded, of sums whose terms are of any sign.
const ROUNDED: f64 = 1e-2;

/// Whether this machine has the unit; says so, past the harness's capture, if not.
fn can_check() -> bool {
    static SAY: std::sync::Once = std::sync::Once::new();
    if !available() {
        SAY.call_once(|| {
            writeln!(std::io::stdout(), "not checked: this machine has no AMX bf16").unwrap();
        });
    }
    available()
}

struct Case {
    what: String,
    x: Tensor,
    weight: Tensor,
    spec: Conv2dSpec,
    upsample: bool,
}

impl Case {
    fn new((b, c, o): (usize, usize, usize), (h, w): (usize, usize), kernel: Kernel) -> Self {
        let (size, padding, upsample) = match kernel {
            Kernel::Up => ((3, 3), [1; 4], true),
            Kernel::Plain(size, padding) => (size, padding, false),
        };
        let [top, bottom, left, right] = padding;
        Self {
            what: format!("({b}, {c}, {h}, {w}) -> {o}, {kernel:?}"),
            x: random(&[b, c, h, w], 1),
            weight: random(&[o, c, size.0, size.1], 2),
            spec: Conv2dSpec { stride: 1, padding: Padding { top, bottom, left, right } },
            upsample,
        }
    }

    /// The same with values whose sums of four are bf16 numbers, so that rounding changes nothing.
    fn of_bf16(self) -> Self {
        let round = |t: &Tensor| ((t * 8.).unwrap().round().unwrap().clamp(-16., 16.).unwrap() / 8.).unwrap();
        Self { x: round(&self.x), weight: round(&self.weight), ..self }
    }

    /// This case with factors scaled so that sums are about one.
    fn of_unit_sums(self) -> Self {
        let terms = self.weight.elem_count() / self.weight.dims()[0];
        Self { weight: (&self.weight / (terms as f64).sqrt()).unwrap(), ..self }
    }

    fn geometry(&self) -> ConvShape {
        ConvShape::new(self.x.shape(), self.weight.shape(), self.spec, self.upsample).unwrap()
    }

    fn values(t: &Tensor) -> Vec<f32> {
        with_values([t], |[v]| Ok(v.to_vec())).unwrap()
    }

    /// The convolution without an epilogue, in f64.
    fn sums(&self) -> Tensor {
        let (x, weight) = (self.x.to_dtype(DType::F64).unwrap(), self.weight.to_dtype(DType::F64).unwrap());
        if self.upsample { up_reference(&x, &weight) } else { reference(&x, &weight, None, self.spec) }
            .unwrap()
    }

    fn check_emulation(self) {
        let case = self.of_bf16();
        let g = case.geometry();
        let weights = Weights::new(&g, &Self::values(&case.weight));
        let got = emulate(&g, &weights, &Self::values(&case.x));
        let got = Tensor::from_vec(got, (g.b, g.o, g.oh, g.ow), &Device::Cpu).unwrap();
        assert_near_largest(&format!("emulated {}", case.what), &got, &case.sums(), SAME_ROUNDING);
    }

    fn check(&self, act: Activation, tolerance: f64) {
        if !can_check() {
            return;
        }
        let g = self.geometry();
        assert!(takes(&g));
        let weights = Weights::new(&g, &Self::values(&self.weight));
        let shift = random(&[g.o], 3);
        let residual = random(&[g.b, act.channels_out(g.o), g.oh, g.ow], 4);
        let (shift_values, plus_values) = (Self::values(&shift), Self::values(&residual));
        for (shifted, added) in [(false, false), (true, false), (true, true)] {
            let epilogue = Epilogue {
                shift: shifted.then_some(&shift_values[..]),
                act,
                residual: added.then_some(&plus_values[..]),
            };
            let got = forward(&g, &weights, &Self::values(&self.x), &epilogue);
            let mut want = self.sums();
            if shifted {
                let shift = shift.to_dtype(DType::F64).unwrap().reshape((1, g.o, 1, 1)).unwrap();
                want = want.broadcast_add(&shift).unwrap();
            }
            want = activate(&want, act).unwrap();
            if added {
                want = (want + residual.to_dtype(DType::F64).unwrap()).unwrap();
            }
            let got = Tensor::from_vec(got, want.dims(), &Device::Cpu).unwrap();
            assert_near_largest(
                &format!("{}, {act:?}, {shifted}, {added}", self.what),
                &got,
                &want,
                tolerance,
            );
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kernel {
    Up,
    /// Sides, padding (top, bottom, left, right).
    Plain((usize, usize), [usize; 4]),
}

const PLAIN: Kernel = Kernel::Plain((3, 3), [1; 4]);
const POINT: Kernel = Kernel::Plain((1, 1), [0; 4]);

fn value(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// A band's planes, value by value.
fn plain_load(g: &ConvShape, plan: &Plan, band: Panel, x: &[f32]) -> Vec<Position> {
    let (plane, height) = (plan.plane(band), plan.height(band));
    let mut planes = vec![Position([0; BLOCK]); plan.blocks * plane];
    for c in 0..g.c {
        for i in 0..band.images * height {
            let y = band.row + i % height;
            if y < plan.top || y >= plan.top + plan.h {
                continue;
            }
            let row = ((band.image + i / height) * g.c + c) * plan.h + y - plan.top;
            for column in 0..plan.w {
                let at = c / BLOCK * plane + i * plan.pitch + plan.left + column;
                planes[at].0[c % BLOCK] = bf16(x[row * plan.w + column]);
            }
        }
    }
    planes
}

/// The sums as the unit would make them, product by product; the result is NaN where nothing was written.
fn emulate(g: &ConvShape, weights: &Weights, x: &[f32]) -> Vec<f32> {
    let plan = Plan::new(g);
    let area = g.oh * g.ow;
    let mut y = vec![f32::NAN; g.b * g.o * area];
    for band in plan.bands(g.b) {
        let planes = plain_load(g, &plan, band, x);
        for phase in 0..plan.taps.len() {
            let offsets = plan.offsets(band, phase);
            let shift = phase / plan.scale * g.ow + phase % plan.scale;
            for tile in plan.tiles(band, g.o * area) {
                for t in 0..weights.tiles() {
                    let (first, count) = weights.channels(t);
                    for (lane, o) in (0..SIDE).flat_map(|lane| (0..count).map(move |o| (lane, o))) {
                        let Some(segment) = tile.segments.iter().find(|s| s.lanes >> lane & 1 == 1) else {
                            continue;
                        };
                        let to = segment.to + (plan.scale * lane + (first + o) * area + shift) as isize;
                        let of = |(offset, w): (&u32, &WeightTile)| {
                            let position = &planes[tile.at + lane + *offset as usize / (2 * BLOCK)].0;
                            (0..BLOCK)
                                .map(|i| value(position[i]) * value(w.0[i / 2][2 * o + i % 2]))
                                .sum::<f32>()
                        };
                        let sum = offsets.iter().zip(weights.of(phase, t)).map(of).sum();
                        let before = std::mem::replace(&mut y[to as usize], sum);
                        assert!(before.is_nan(), "a pixel was made twice");
                    }
                }
            }
        }
    }
    y
}

#[test]
fn rounding_is_to_the_nearest_and_to_even() {
    let values = [0., -0., 1., 1.003_906_2, 1.011_718_8, -3.4e38, 1e-40, f32::INFINITY, 0.1, -77.7];
    for x in values {
        assert_eq!(bf16(x), half_bits(x), "{x}");
    }
    assert!(value(bf16(f32::NAN)).is_nan());
    assert!(value(bf16(f32::from_bits(0x7f80_0001))).is_nan());
}

/// candle's rounding.
fn half_bits(x: f32) -> u16 {
    let t = Tensor::new(&[x], &Device::Cpu).unwrap().to_dtype(DType::BF16).unwrap();
    let back: Vec<f32> = t.to_dtype(DType::F32).unwrap().to_vec1().unwrap();
    (back[0].to_bits() >> 16) as u16
}

#[test]
fn layout_and_packing_give_the_convolution() {
    let cases = [
        ((1, 3, 5), (1, 1), PLAIN),
        ((2, 33, 18), (4, 4), PLAIN),
        ((5, 5, 3), (8, 8), PLAIN),
        ((1, 40, 66), (5, 17), PLAIN),
        ((1, 2, 2), (40, 50), PLAIN),
        ((1, 65, 7), (3, 16), POINT),
        ((2, 3, 4), (6, 5), Kernel::Plain((2, 3), [0, 2, 3, 1])),
        ((1, 3, 4), (3, 4), Kernel::Plain((1, 1), [2, 1, 3, 2])),
        ((1, 2, 3), (9, 7), Kernel::Plain((7, 1), [3, 3, 0, 0])),
        ((3, 34, 6), (4, 4), Kernel::Up),
        ((1, 3, 3), (1, 1), Kernel::Up),
        ((1, 2, 4), (37, 33), Kernel::Up),
    ];
    cases.into_iter().for_each(|(sizes, map, kernel)| Case::new(sizes, map, kernel).check_emulation());
}

#[test]
fn loading_by_registers_is_loading_by_values() {
    if !can_check() {
        return;
    }
    for (sizes, map) in
        [((1, 1, 1), (1, 1)), ((3, 47, 1), (5, 3)), ((2, 64, 1), (33, 40)), ((1, 70, 1), (2, 31))]
    {
        let case = Case::new(sizes, map, PLAIN);
        let (g, x) = (case.geometry(), Case::values(&case.x));
        let plan = Plan::new(&g);
        for band in plan.bands(g.b) {
            let want = plain_load(&g, &plan, band, &x);
            let mut got = vec![Position([0x7fc0; BLOCK]); want.len()];
            load::load(&plan, band, &x, g.c, &mut got);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_eq!(got.0, want.0, "{}: {band:?}, position {i}", case.what);
            }
        }
    }
}

/// Activations by number.
fn act(i: usize) -> Activation {
    let all = [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::LeakyRelu(0.2)];
    all.get(i).copied().unwrap_or(Activation::Glu)
}

#[test]
fn convolutions_of_the_model() {
    for (sizes, map, kernel) in [
        ((1, 64, 128), (64, 64), PLAIN),
        ((2, 128, 64), (32, 32), PLAIN),
        ((1, 64, 64), (128, 128), POINT),
        ((1, 256, 128), (4, 4), Kernel::Up),
        ((9, 96, 64), (8, 8), Kernel::Up),
        ((1, 32, 64), (64, 64), Kernel::Up),
    ] {
        for i in 0..5 {
            Case::new(sizes, map, kernel).of_bf16().check(act(i), SAME_ROUNDING);
        }
        Case::new(sizes, map, kernel).of_unit_sums().check(Activation::Identity, ROUNDED);
        Case::new(sizes, map, kernel).of_unit_sums().check(Activation::Glu, ROUNDED);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]
    #[test]
    fn convolutions_of_any_shape(
        b in 1usize..4, c in 1usize..80, half in 1usize..40, odd in 0usize..2, h in 1usize..14, w in 1usize..40,
        size in (1usize..4, 1usize..4), padding in prop::array::uniform4(0usize..4), upsample: bool, i in 0usize..5,
    ) {
        prop_assume!(upsample || (h + padding[0] + padding[1] >= size.0 && w + padding[2] + padding[3] >= size.1));
        let kernel = if upsample { Kernel::Up } else { Kernel::Plain(size, padding) };
        let o = 2 * half - if act(i) == Activation::Glu { 0 } else { odd };
        Case::new((b, c, o), (h, w), kernel).of_unit_sums().check(act(i), 2. * ROUNDED);
        let case = Case::new((b, c, o), (h, w), kernel).of_bf16();
        case.check(act(i), SAME_ROUNDING);
        if c < 40 && o < 24 {
            case.check_emulation();
        }
    }
}
