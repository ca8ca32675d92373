//! The measures, which are the host's whatever the device, on as many images as an evaluation of the preset looks at.
use criterion::Criterion;
use drgan_benches::{Preset, constant, image_encoder, time};
use drgan_metrics::{diversity, fid, inception_score, kid, r_precision};
use drgan_tensor::device::HOST;
use std::fmt::Debug;
use std::hint::black_box;

/// Classes of ImageNet, as Inception's logits.
const CLASSES: usize = 1000;
const SPLITS: usize = 10;
/// Captions that an image ranks.
const CANDIDATES: usize = 100;

fn measures(c: &mut Criterion, preset: &Preset) {
    let (n, seeds) = (preset.cfg.evaluate.samples, preset.cfg.evaluate.seeds);
    let pooled = image_encoder(&preset.cfg, &HOST).expect("an encoder").backbone().pooled_channels();
    let features = |d: usize| constant(&[n, d]).and_then(|x| x.to_device(&HOST)).expect("features");
    let (a, code, logits) = (features(pooled), features(preset.cfg.text.words_dim), features(CLASSES));
    let [b, sentences] = [&a, &code].map(|x| (x * 0.7).expect("features"));
    let groups: Vec<usize> = (0..n).map(|i| i / seeds).collect();
    let texts: Vec<String> = (0..n).map(|i| format!("caption {i}")).collect();
    let size = preset.sized("N", n);
    let mut measure = |name: &str, f: &dyn Fn()| {
        time(c, &HOST, [&format!("metrics/{name}"), "forward", &size], n, f);
    };
    measure("kid", &|| done(kid(&a, &b)));
    measure("diversity", &|| done(diversity(&a, &groups)));
    measure("fid", &|| done(fid(&a, &b)));
    measure("inception_score", &|| done(inception_score(&logits, SPLITS)));
    measure("r_precision", &|| done(r_precision(&code, &sentences, &texts, CANDIDATES, 0)));
}

fn done<T, E: Debug>(value: Result<T, E>) {
    black_box(value.expect("a measure"));
}

fn main() {
    drgan_benches::run(&[measures]);
}
