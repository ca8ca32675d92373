//! Differentiable augmentation: fast against reference, reference against finite differences, cases by hand.
mod common;

use candle_core::{DType, Device, Tensor};
use common::{assert_differences, assert_same, device, random};
use drgan_kernels::{Augmentation, Augmentations, augment, reference};

fn changes() -> Vec<Augmentation> {
    let all = Augmentation::IDENTITY;
    vec![
        all,
        Augmentation { brightness: 0.3, saturation: 1.7, contrast: 0.6, ..all },
        Augmentation { shift: [2, -1], saturation: 0., ..all },
        Augmentation { cutout: [[1, 4], [0, 3]], shift: [-1, 2], contrast: 1.4, ..all },
        Augmentation { cutout: [[0, 99], [2, 99]], brightness: -0.2, ..all },
        // All of it is gone.
        Augmentation { shift: [40, 0], brightness: 1., ..all },
        Augmentation { shift: [0, -40], contrast: 0.5, ..all },
        Augmentation { shift: [-1, 1], cutout: [[2, 3], [4, 4]], ..all },
    ]
}

#[test]
fn augmentations_on_many_shapes() {
    let changes = changes();
    for (b, c, h, w) in [(8, 3, 5, 7), (1, 3, 16, 16), (3, 1, 1, 4), (2, 4, 33, 31), (8, 3, 64, 64)] {
        let of = changes[changes.len() - b..].to_vec();
        let inputs = [random(&[b, c, h, w], 1)];
        let fast = |t: &[Tensor]| augment(&t[0], &Augmentations::new(of.clone(), t[0].device())?);
        assert_same(&format!("augment {b} {c} {h} {w}"), &inputs, 1e-5, fast, |t| {
            reference::augment(&t[0], &of)
        });
    }
}

#[test]
fn the_reference_has_the_gradient_of_its_values() {
    let of = changes();
    let x = random(&[8, 3, 4, 5], 2).to_dtype(DType::F64).unwrap();
    assert_differences("augment", &[x], |t| reference::augment(&t[0], &of));
}

#[test]
fn an_image_is_colored_moved_and_covered() {
    let on = device();
    let x = Tensor::new(&[0.2f32, 0.4, 0.6, 0.8, 0., 0., 0., 0.], &Device::Cpu).unwrap();
    let x = x.reshape((1, 2, 2, 2)).unwrap().to_device(&on).unwrap();
    let one = |by: Augmentation| {
        let y = augment(&x, &Augmentations::new(vec![by], &on).unwrap()).unwrap();
        y.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let near = |by: Augmentation, want: [f32; 8]| {
        let got = one(by);
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6), "{by:?}: {got:?}, not {want:?}");
    };
    let all = Augmentation::IDENTITY;
    near(all, [0.2, 0.4, 0.6, 0.8, 0., 0., 0., 0.]);
    near(Augmentation { saturation: 0., ..all }, [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.4]);
    near(Augmentation { contrast: 0., brightness: 0.5, ..all }, [0.75; 8]);
    near(Augmentation { shift: [1, 0], ..all }, [0., 0., 0.2, 0.4, 0., 0., 0., 0.]);
    near(Augmentation { shift: [0, -1], ..all }, [0.4, 0., 0.8, 0., 0., 0., 0., 0.]);
    near(
        Augmentation { cutout: [[0, 1], [1, 2]], brightness: 1., ..all },
        [1.2, 0., 1.6, 1.8, 1., 0., 1., 1.],
    );
}

#[test]
fn other_shapes_are_refused_and_nan_stays() {
    let by = |n: usize| Augmentations::new(vec![Augmentation::IDENTITY; n], &device()).unwrap();
    let x = random(&[2, 3, 4, 4], 1).to_device(&device()).unwrap();
    let e = augment(&x, &by(3)).unwrap_err().to_string();
    assert!(e.contains("2 images and 3 augmentations"), "{e}");
    assert!(augment(&x.flatten_all().unwrap(), &by(2)).is_err());
    let far = Augmentation { shift: [1 << 24, 0], ..Augmentation::IDENTITY };
    assert!(Augmentations::new(vec![far], &device()).is_err());
    let y = augment(&(x * f64::NAN).unwrap(), &by(2)).unwrap();
    assert!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| v.is_nan()));
    // candle has no tensor without values on a CUDA device.
    if !device().is_cpu() {
        return;
    }
    let none = Tensor::zeros((0, 3, 4, 4), DType::F32, &device()).unwrap();
    assert_eq!(augment(&none, &by(0)).unwrap().dims(), [0, 3, 4, 4]);
}
