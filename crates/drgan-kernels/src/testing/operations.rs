//! The table of all operations.
use super::Size;
use super::operation::Operation;
use crate::*;
use candle_core::{DType, Result, Tensor, Var};

/// Sums of products in another order, divided by deviations or by sums that nearly cancel.
const NORMALIZED: f64 = 5e-5;
/// The same of few values.
const FEW: f64 = 1e-4;
/// Factors of 7 bits of fraction, of the largest value: docs/cuda.md, Precision.
const BF16: f64 = 3. / 256.;

const LEAKY: Activation = Activation::LeakyRelu(0.2);
const EPS: f64 = 1e-5;
/// A 3x3 convolution that keeps the sides.
const SAME: fn() -> Conv2dSpec = || Conv2dSpec::new(1, 1);

/// Few channels with more values than a block sums up: a kernel adds the sums of their parts.
const WIDE: &[usize] = &[2, 4, 64, 64];

fn one(result: Result<Tensor>) -> Result<Vec<Tensor>> {
    Ok(vec![result?])
}

fn two(result: Result<(Tensor, Tensor)>) -> Result<Vec<Tensor>> {
    let (first, second) = result?;
    Ok(vec![first, second])
}

fn normalized(result: Result<Normalized>) -> Result<Vec<Tensor>> {
    let Normalized { y, mean, var } = result?;
    Ok(vec![y, mean, var])
}

fn var(x: &Tensor) -> Result<Var> {
    Var::from_tensor(&x.detach())
}

/// Every public operation, some in more than one way, for maps of this size.
pub fn operations(size: Size) -> Vec<Operation> {
    let mut all: Vec<Operation> = convolutions(size).into_iter().map(Operation::convolving).collect();
    all.extend(maps(size));
    all.extend(objectives(size));
    all.extend(vectors(size));
    all.extend(optimizers(size));
    all
}

/// Those that cuDNN computes or, without it, columns and products.
fn convolutions(Size { batch: b, channels: c, side: s }: Size) -> Vec<Operation> {
    let (map, bias): (&[usize], &[usize]) = (&[b, c, s, s], &[c]);
    let weight: &[usize] = &[c, c, 3, 3];
    vec![
        Operation::new("conv2d", &[map, weight, bias], |t| one(conv2d(&t[0], &t[1], Some(&t[2]), SAME())))
            .rounding(),
        Operation::new("conv2d, with a stride", &[map, &[c, c, 4, 4]], |t| {
            one(conv2d(&t[0], &t[1], None, Conv2dSpec::new(2, 1)))
        })
        .rounding(),
        Operation::new("conv2d, padded on two sides", &[map, weight], |t| {
            let padding = Padding { top: 0, bottom: 1, left: 0, right: 1 };
            one(conv2d(&t[0], &t[1], None, Conv2dSpec::new(2, 0).with_padding(padding)))
        })
        .rounding(),
        Operation::new("conv2d, pointwise", &[map, &[2 * c, c, 1, 1]], |t| {
            one(conv2d(&t[0], &t[1], None, Conv2dSpec::new(1, 0)))
        })
        .rounding(),
        Operation::new("conv2d, kernel as large as the map", &[&[b, c, 4, 4], &[2, c, 4, 4]], |t| {
            one(conv2d(&t[0], &t[1], None, Conv2dSpec::new(4, 0)))
        })
        .rounding(),
        Operation::new("conv2d_act", &[map, weight, bias], |t| {
            one(conv2d_act(&t[0], &t[1], Some(&t[2]), Activation::Identity, SAME()))
        })
        .rounding(),
        Operation::new("conv2d_act, gated", &[map, weight], |t| {
            one(conv2d_act(&t[0], &t[1], None, Activation::Glu, SAME()))
        })
        .rounding(),
        Operation::new("up_conv2d", &[map, weight], |t| one(up_conv2d(&t[0], &t[1]))).rounding(),
        // The kernel takes a vector that is a constant.
        Operation::new("joint_conv2d", &[map, &[c, c + 3, 3, 3], bias, &[b, 3]], |t| {
            one(joint_conv2d(&t[0], &t[3], &t[1], &t[2], Activation::Identity, SAME()))
        })
        .gradients_of(3)
        .within(FEW)
        .rounding(),
        Operation::new("conv2d_batch_norm", &[map, weight, bias, bias], |t| {
            let spec = ConvNormSpec::new(SAME(), Activation::Identity);
            normalized(conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec))
        })
        .within(FEW)
        .rounding(),
        Operation::new("conv2d_batch_norm, upsampled and gated", &[map, weight, bias, bias], |t| {
            let spec = ConvNormSpec::new(SAME(), Activation::Glu).with_upsample(true);
            normalized(conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec))
        })
        .within(FEW)
        .rounding(),
        Operation::new("PackedConv", &[map, weight, bias, bias], |t| {
            one(packed(t, PackedSpec::new(SAME(), LEAKY).with_upsample(true)))
        })
        .gradients_of(0),
        Operation::new("PackedConv, in bf16", &[map, weight, bias, bias], |t| {
            one(packed(t, PackedSpec::new(SAME(), Activation::Glu).with_precision(Precision::Bf16)))
        })
        .gradients_of(0)
        .within(BF16),
    ]
}

fn packed(t: &[Tensor], spec: PackedSpec) -> Result<Tensor> {
    PackedConv::new(&t[1], Some(&t[2]), Some(&t[3]), spec)?.forward(&t[0], None)
}

fn maps(Size { batch: b, channels: c, side: s }: Size) -> Vec<Operation> {
    let (map, vector): (&[usize], &[usize]) = (&[b, c, s, s], &[c]);
    let gated: &[usize] = &[b, c / 2, s, s];
    vec![
        // The kernel takes a weight and a bias that are constants.
        Operation::new("depthwise_conv2d", &[map, &[c, 1, 3, 3], vector], |t| {
            one(depthwise_conv2d(&t[0], &t[1], &t[2], LEAKY, SAME()))
        })
        .gradients_of(1),
        Operation::new("activate", &[map], |t| one(activate(&t[0], LEAKY))),
        Operation::new("activate, gated", &[map], |t| one(activate(&t[0], Activation::Glu))),
        Operation::new("scale_shift", &[map, vector, vector], |t| {
            one(scale_shift(&t[0], &t[1], &t[2], Activation::Relu))
        }),
        Operation::new("batch_norm", &[map, vector, vector], |t| {
            normalized(batch_norm(&t[0], &t[1], &t[2], EPS, LEAKY, None))
        })
        .within(NORMALIZED),
        Operation::new("batch_norm, of few channels with many values", &[WIDE, &[4], &[4]], |t| {
            normalized(batch_norm(&t[0], &t[1], &t[2], EPS, LEAKY, None))
        })
        .within(NORMALIZED),
        Operation::new("batch_norm, gated and with a residual", &[map, vector, vector, gated], |t| {
            normalized(batch_norm(&t[0], &t[1], &t[2], EPS, Activation::Glu, Some(&t[3])))
        })
        .within(NORMALIZED),
        Operation::new("update_running_statistics", &[map, vector, vector], |t| {
            let batch = reference::batch_norm(&t[0], &t[1], &t[2], EPS, LEAKY, None)?;
            let (mean, variance) = (var(&t[1])?, var(&t[2])?);
            update_running_statistics((&mean, &variance), &batch, 0.1)?;
            Ok(vec![mean.into_inner(), variance.into_inner()])
        })
        .gradients_of(0),
        Operation::new("max_pool2d", &[map], |t| one(max_pool2d(&t[0], 2, 2))),
        Operation::new("avg_pool2d", &[map], |t| one(avg_pool2d(&t[0], 3, 1, 1))),
        Operation::new("mean_pixels", &[map], |t| one(mean_pixels(&t[0]))),
        Operation::new("resize_bilinear", &[map], |t| {
            let (_, _, h, w) = t[0].dims4()?;
            one(resize_bilinear(&t[0], h + h / 2, w - 2, true))
        }),
        Operation::new("resize_area", &[map], |t| {
            let (_, _, h, w) = t[0].dims4()?;
            let part = |n: usize| if n.is_multiple_of(2) { n / 2 } else { 1 };
            one(resize_area(&t[0], part(h), part(w)))
        }),
        // With equal factors it is an average pooling.
        Operation::new("resize_area, by different factors", &[map], |t| {
            let (_, _, h, w) = t[0].dims4()?;
            let part = if w.is_multiple_of(2) { w / 2 } else { 1 };
            one(resize_area(&t[0], h, part))
        }),
        Operation::new("upsample_nearest2x", &[map], |t| one(upsample_nearest2x(&t[0]))).uncounted(),
        Operation::new("gate", &[map, map], |t| one(gate(&t[0], &t[1], 2.))),
        Operation::new("augment", &[&[b, 3, s, s]], |t| {
            let first =
                Augmentation { brightness: 0.3, saturation: 1.7, contrast: 0.6, ..Augmentation::IDENTITY };
            let other = Augmentation { shift: [1, -2], cutout: [[1, 3], [0, 2]], ..first };
            let mut by = vec![other; t[0].dim(0)?];
            by[0] = first;
            one(augment(&t[0], &Augmentations::new(by, t[0].device())?))
        }),
        Operation::new("moments", &[map], |t| two(moments(&t[0]))),
        Operation::new("moments, of few channels with many values", &[WIDE], |t| two(moments(&t[0]))),
        Operation::new("word_attention", &[map, &[b, c, 5]], |t| {
            // A word more for each caption.
            let (b, _, words) = t[1].dims3()?;
            let padding: Vec<u8> = (0..b * words).map(|i| u8::from(i % words > 1 + i / words)).collect();
            let mask = Tensor::from_vec(padding, (b, words), t[0].device())?;
            two(word_attention(&t[0], &t[1], &mask))
        })
        .within(NORMALIZED),
    ]
}

fn objectives(Size { batch: b, channels: c, side: s }: Size) -> Vec<Operation> {
    let (map, rows): (&[usize], &[usize]) = (&[b, c, s, s], &[b, c]);
    vec![
        Operation::new("softplus_means", &[map, &[b], rows], |t| {
            one(softplus_means(&[&t[0], &t[1], &t[2]], true, 2.))
        }),
        Operation::new("mean_absolute_difference", &[map, map], |t| {
            one(mean_absolute_difference(&t[0], &t[1]))
        }),
        Operation::new("mean_absolute_difference, of many values", &[WIDE, WIDE], |t| {
            one(mean_absolute_difference(&t[0], &t[1]))
        }),
        Operation::new("moments_contrast", &[map, map, map], |t| one(moments_contrast(&t[0], &t[1], &t[2])))
            .apart()
            .within(FEW),
        Operation::new("inner_product", &[map, map], |t| one(inner_product(&t[0], &t[1]))).positive(),
        Operation::new("softmax", &[map], |t| one(softmax(&t[0], 1))),
        Operation::new("log_softmax", &[map], |t| one(log_softmax(&t[0], 3))),
        Operation::new("tanh", &[map], |t| one(tanh(&t[0]))),
        Operation::new("halves", &[&[b, 2 * c]], |t| two(halves(&t[0]))),
        Operation::new("gaussian_sample", &[rows, rows, rows], |t| one(gaussian_sample(&t[0], &t[1], &t[2]))),
        Operation::new("gaussian_kl", &[rows, rows], |t| one(gaussian_kl(&t[0], &t[1]))),
    ]
}

fn vectors(Size { batch: b, channels: c, side: s }: Size) -> Vec<Operation> {
    let (weight, u, v): (&[usize], &[usize], &[usize]) = (&[c, c, 3, 3], &[c], &[9 * c]);
    vec![
        Operation::new("linear", &[&[b, 5 * c], &[2 * c, 5 * c]], |t| one(linear(&t[0], &t[1]))).rounding(),
        Operation::new("activate_biased", &[&[b, 2 * c], &[2 * c]], |t| {
            one(activate_biased(&t[0], &t[1], Activation::Glu))
        }),
        Operation::new("lstm", &[&[2, s, b, 2 * c], &[2, c / 2, 2 * c]], |t| one(lstm(&t[0], &t[1])))
            .within(NORMALIZED),
        Operation::new("power_iteration", &[weight, u], |t| two(power_iteration(&t[0], &t[1])))
            .positive()
            .gradients_of(0),
        Operation::new("spectral_norm", &[weight, u, v], |t| one(spectral_norm(&t[0], &t[1], &t[2])))
            .positive()
            .gradients_of(1)
            .within(NORMALIZED),
        Operation::new("spectral_norm_step", &[weight, u, v], |t| {
            let (u, v) = (var(&t[1])?, var(&t[2])?);
            let y = spectral_norm_step(&t[0], &u, &v)?;
            Ok(vec![y, u.into_inner(), v.into_inner()])
        })
        .positive()
        .gradients_of(1)
        .within(NORMALIZED),
    ]
}

const STEP: fn() -> AdamStep = || AdamStep::new(1, 0.1, (0.9, 0.999), 1e-8);

fn optimizers(Size { batch: b, channels: c, side: s }: Size) -> Vec<Operation> {
    let map: &[usize] = &[b, c, s, s];
    // Moments of squares are positive; so may all be.
    let state: &[&[usize]] = &[map, map, map, map];
    let changes = |name, shapes, call| Operation::new(name, shapes, call).positive().gradients_of(0);
    vec![
        changes("adam_update", state, |t| {
            let [p, m, v] = [var(&t[0])?, var(&t[2])?, var(&t[3])?];
            adam_update(&p, &t[1], &m, &v, STEP())?;
            Ok([p, m, v].map(Var::into_inner).into())
        }),
        changes("adam_update_all", state, |t| {
            let [parameter, m, v] = [var(&t[0])?, var(&t[2])?, var(&t[3])?];
            let update = AdamUpdate { parameter: &parameter, gradient: &t[1], m: &m, v: &v };
            adam_update_all(&[update], STEP(), None)?;
            Ok([parameter, m, v].map(Var::into_inner).into())
        }),
        changes("ema_update", &[map, map], |t| {
            let average = var(&t[0])?;
            ema_update(&average, &t[1], 0.9)?;
            Ok(vec![average.into_inner()])
        }),
        changes("ema_update_all", &[map, map], |t| {
            let average = var(&t[0])?;
            ema_update_all(&[(&average, &t[1])], 0.9)?;
            Ok(vec![average.into_inner()])
        }),
        changes("sum_of_squares", &[map], |t| one(Tensor::new(sum_of_squares(&t[0])?, t[0].device()))),
        changes("global_norm", &[map], |t| one(global_norm(&[&t[0]], &[]))),
        changes("read_scalars", &[&[1], &[1]], |t| {
            let read = read_scalars(&[&t[0], &t[1]])?;
            one(Tensor::from_vec(read, 2, t[0].device())?.to_dtype(DType::F64))
        })
        .uncounted(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What lib.rs exports of `ops` that begins with a small letter is an operation.
    #[test]
    fn every_public_operation_is_in_the_table() {
        let source = include_str!("../lib.rs");
        let exported = source.split("pub use ops::").skip(1).filter_map(|rest| rest.split(';').next());
        let names = exported.flat_map(|path| {
            let names = path
                .split_once('{')
                .map_or_else(|| path.rsplit("::").next().unwrap_or(path), |(_, list)| list);
            names.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>()
        });
        let functions: BTreeSet<String> = names
            .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) || name == "PackedConv")
            .collect();
        let table: BTreeSet<String> =
            operations(Size::SMALL).iter().map(|operation| operation.function().to_owned()).collect();
        assert!(functions.len() > 40, "{functions:?}");
        assert_eq!(functions, table);
    }
}
