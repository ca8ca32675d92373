//! The shards of a batch against the whole of it.
use super::order::Order;
use super::*;
use crate::test_sets::{entries, open_tar, png, tar_of};
use candle_core::Tensor;
use drgan_tensor::testing::{Tol, assert_close};
use proptest::prelude::*;
use rand::Rng;
use std::sync::LazyLock;
use tempfile::TempDir;

/// 101 records with one to five captions, of which one image does not decode and every seventh record has no class.
static DATA: LazyLock<Arc<Dataset>> = LazyLock::new(|| {
    let mut all = entries(101);
    all[30].1 = b"no image".to_vec();
    for i in 0..101 {
        let captions: Vec<String> = (0..=i % 5).map(|c| format!("thing {i} {c}")).collect();
        all[3 * i + 1].1 = captions.join("\n").into_bytes();
        if i % 7 == 0 {
            all[3 * i + 2].1 = b"{}".to_vec();
        }
    }
    Arc::new(open_tar(&tar_of(&all)).unwrap())
});

/// `n` batches from `start` on.
fn take(data: &Arc<Dataset>, spec: &BatchSpec, start: u64, n: usize) -> Vec<Batch> {
    let loader = Loader::new(Arc::clone(data), Split::All, spec.clone(), start).unwrap();
    loader.take(n).map(Result::unwrap).collect()
}

/// Asserts that the rows of `shards`, in order, are those of `whole`.
fn assert_whole(whole: &Batch, shards: &[Batch]) {
    let mut end = 0;
    for shard in shards {
        assert_eq!((shard.index, shard.epoch, shard.rows.start), (whole.index, whole.epoch, end));
        end = shard.rows.end;
        let rows = shard.rows.clone();
        assert_eq!(shard.keys, whole.keys[rows.clone()]);
        assert_eq!(shard.captions, whole.captions[rows.clone()]);
        assert_eq!(shard.class_ids, whole.class_ids[rows]);
    }
    assert_eq!(end, whole.keys.len());
    for (stage, image) in whole.images.iter().enumerate() {
        let parts: Vec<&Tensor> = shards.iter().map(|shard| &shard.images[stage]).collect();
        assert_close("images", &Tensor::cat(&parts, 0).unwrap(), image, Tol::EXACT).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn all_ranks_together_make_the_whole_batch(
        (batch, of) in (1..=24usize).prop_flat_map(|batch| (Just(batch), 1..=batch.min(7))),
        start in 0..200u64,
        seed in any::<u64>(),
        load_side in prop_oneof![Just(0usize), Just(8), Just(11)],
        workers in 1..=2usize,
        times in 1..=3usize,
        cache_mib in 0..=1usize,
    ) {
        let repeat = Repeat { times, ..Default::default() };
        let config = LoaderConfig { batch, load_side, workers, cache_mib, repeat, ..Default::default() };
        let spec = BatchSpec { config, sides: vec![4, 8], seed, shard: Shard::default() };
        let whole = take(&DATA, &spec, start, 2);
        let of_rank = |rank| take(&DATA, &BatchSpec { shard: Shard { rank, of }, ..spec.clone() }, start, 2);
        let ranks: Vec<Vec<Batch>> = (0..of).map(of_rank).collect();
        for (i, whole) in whole.iter().enumerate() {
            let shards: Vec<Batch> = ranks.iter().map(|batches| batches[i].clone()).collect();
            assert_whole(whole, &shards);
        }
    }
}

#[test]
fn shares_differ_by_one_row_at_most_and_none_is_empty() {
    for of in 1..=9 {
        for size in of..30 {
            let rows: Vec<_> = (0..of).map(|rank| Shard { rank, of }.rows(size)).collect();
            assert!(rows[0].start == 0 && rows[of - 1].end == size);
            assert!(rows.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(rows.iter().all(|rows| (size / of..=size.div_ceil(of)).contains(&rows.len())));
        }
    }
}

#[test]
fn a_shard_reads_its_own_rows_only() {
    let folder = TempDir::new().unwrap();
    for i in 0..6 {
        std::fs::write(folder.path().join(format!("{i}.png")), png(8, [1, 2, i], 0)).unwrap();
        std::fs::write(folder.path().join(format!("{i}.txt")), format!("thing {i}\nthe thing")).unwrap();
    }
    let data = Arc::new(Dataset::open(folder.path()).unwrap());
    let config = LoaderConfig { batch: 6, cache_mib: 0, ..Default::default() };
    let spec = BatchSpec { config, sides: vec![8], ..Default::default() };
    let whole = take(&data, &spec, 0, 1).remove(0);
    for key in whole.keys[..2].iter().chain(&whole.keys[4..]) {
        std::fs::remove_file(folder.path().join(format!("{key}.png"))).unwrap();
    }
    let shard = take(&data, &BatchSpec { shard: Shard { rank: 1, of: 3 }, ..spec.clone() }, 0, 1).remove(0);
    assert_eq!((shard.rows, &shard.keys[..]), (2..4, &whole.keys[2..4]));
    assert!(Loader::new(data, Split::All, spec, 0).unwrap().next().unwrap().is_err());
}

/// A draw among n captions takes a second random number once in 2^32 / n times: then the other rows' images are asked.
#[test]
fn draws_of_unequal_length_are_walked_with_the_right_record() {
    const MANY: usize = 60_011;
    let mut all = entries(2);
    all[1].1 = "x\n".repeat(MANY).into_bytes();
    all[4].1 = b"y".to_vec();
    let data = Arc::new(open_tar(&tar_of(&all)).unwrap());
    let config = LoaderConfig {
        batch: 2,
        repeat: Repeat { times: 1, ..Default::default() },
        ..LoaderConfig::default()
    };
    let spec = BatchSpec { config, sides: vec![8], ..Default::default() };
    let order = Order { draws: vec![0, 1], batch: 2, seed: spec.seed };
    let unequal = |n: &u64| {
        let words = [1, MANY].map(|count| {
            let mut rng = order.rng(*n);
            let _ = rng.random_range(0..count);
            rng.get_word_pos()
        });
        words[0] != words[1]
    };
    let mut first_rows = std::collections::BTreeSet::new();
    for n in (0u64..).filter(unequal).take(8) {
        let whole = take(&data, &spec, n, 1).remove(0);
        let of_rank = |rank| take(&data, &BatchSpec { shard: Shard { rank, of: 2 }, ..spec.clone() }, n, 1);
        assert_whole(&whole, &[0, 1].map(|rank| of_rank(rank).remove(0)));
        first_rows.insert(whole.keys[0].clone());
    }
    assert_eq!(first_rows.len(), 2, "both records stood in the row that was passed over");
}
