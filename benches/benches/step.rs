//! A whole step of the GAN: generator, three discriminators, DAMSM, all backward passes and optimizers, EMA.
use criterion::Criterion;
use drgan_benches::{Preset, Step, device, time};
use std::hint::black_box;

fn whole(c: &mut Criterion, preset: &Preset) {
    let mut step = Step::new(&preset.cfg, &device()).expect("networks");
    time(c, &device(), ["step/gan", "forward+backward", &preset.size()], preset.batch, || {
        // Learning rates of 0: all the work of a step, and every step the same.
        black_box(step.run(0.).expect("a step"));
    });
}

fn main() {
    drgan_benches::run(&[whole]);
}
