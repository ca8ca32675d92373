//! A checkpoint to test with.
use super::checkpoint::Checkpoint;
use candle_core::Tensor;
use drgan_tensor::device::HOST;

/// A small checkpoint that holds `x`.
pub(super) fn sample(x: f32) -> Checkpoint {
    let mut c = Checkpoint::default();
    let t = Tensor::new(&[[x, 2., 3.]], &HOST).expect("a tensor");
    c.insert_all("g", [("a.weight".to_owned(), t.clone()), ("b".to_owned(), t)]);
    c.insert_all("g_avg", [("b".to_owned(), Tensor::new(5i64, &HOST).expect("a tensor"))]);
    c.meta.extend((0..8).map(|i| (format!("key{i}"), format!("{x}"))));
    c
}

/// The number that [`sample`] was given.
pub(super) fn first(c: &Checkpoint) -> f32 {
    c.tensors["g.b"].to_vec2::<f32>().expect("f32")[0][0]
}
