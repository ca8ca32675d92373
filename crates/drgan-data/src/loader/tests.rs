//! Batches against the records they are made of, and against each other under other threads, starts and shards.
use super::*;
use crate::test_sets::{entries, open_tar, png, set, tar_of};
use drgan_tensor::testing::{Tol, assert_close};
use tempfile::TempDir;

fn config() -> LoaderConfig {
    LoaderConfig { batch: 4, load_side: 10, ..Default::default() }
}

fn spec(config: LoaderConfig) -> BatchSpec {
    BatchSpec { config, sides: vec![2, 4, 8], seed: 5, shard: Shard::default() }
}

fn repeat(times: usize) -> Repeat {
    Repeat { times, ..Default::default() }
}

fn take(data: &Arc<Dataset>, spec: &BatchSpec, start: u64, n: usize) -> Vec<Batch> {
    let loader = Loader::new(Arc::clone(data), Split::All, spec.clone(), start).unwrap();
    loader.take(n).map(Result::unwrap).collect()
}

fn assert_same(a: &[Batch], b: &[Batch]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert_eq!(
            (a.index, a.epoch, &a.keys, &a.captions, &a.class_ids),
            (b.index, b.epoch, &b.keys, &b.captions, &b.class_ids)
        );
        for (x, y) in a.images.iter().zip(&b.images) {
            assert_close("image", x, y, Tol::EXACT).unwrap();
        }
    }
}

#[test]
fn undecodable_images_are_skipped_up_to_one_in_a_hundred() {
    let mut all = entries(100);
    all[30].1 = b"no image".to_vec();
    let data = Arc::new(open_tar(&tar_of(&all)).unwrap());
    let everything: Vec<usize> = (0..100).collect();
    let loaded = data.load_part(&everything, 4).unwrap();
    data.tolerate(&loaded.skipped, everything.len()).unwrap();
    assert_eq!((loaded.images.len(), &loaded.skipped[..]), (99, &["k010.png".to_owned()][..]));
    assert_eq!(loaded.tensor(0..3, &candle_core::Device::Cpu).unwrap().dims(), [3, 3, 4, 4]);
    assert!(loaded.tensor(98..100, &candle_core::Device::Cpu).is_err());
    let spec = spec(LoaderConfig { workers: 2, repeat: repeat(1), ..config() });
    let mut loader = Loader::new(Arc::clone(&data), Split::All, spec.clone(), 0).unwrap();
    let keys: Vec<String> = loader.by_ref().take(25).flat_map(|b| b.unwrap().keys).collect();
    assert!(!keys.contains(&"k010".to_owned()) && keys.len() == 100);
    assert_eq!(loader.skipped(), ["k010.png"]);

    all[60].1 = b"no image".to_vec();
    let data = Arc::new(open_tar(&tar_of(&all)).unwrap());
    let skipped = data.load_part(&everything, 4).unwrap().skipped;
    let error = data.tolerate(&skipped, everything.len()).unwrap_err().to_string();
    assert!(error.contains("2 of 100") && error.contains("k010.png, k020.png"), "{error}");
    let results: Vec<_> = Loader::new(data, Split::All, spec, 0).unwrap().take(200).collect();
    assert!(results.len() <= 25, "the iterator ends after the error: {}", results.len());
    let error = results.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("above 1 %"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let data = set(6);
    let refuse = |spec: BatchSpec, word: &str| {
        let Err(e) = Loader::new(Arc::clone(&data), Split::All, spec, 0) else { panic!("accepted: {word}") };
        assert!(e.to_string().contains(word), "{e}");
    };
    let with = |config: LoaderConfig, word: &str| refuse(spec(config), word);
    with(LoaderConfig { batch: 7, ..config() }, "batch 7 is larger than the data set (6 images)");
    with(LoaderConfig { batch: 0, ..config() }, "loader.batch");
    with(LoaderConfig { workers: 0, ..config() }, "loader.workers");
    with(LoaderConfig { repeat: repeat(0), ..config() }, "loader.repeat.times");
    with(LoaderConfig { load_side: 7, ..config() }, "loader.load_side");
    with(LoaderConfig { shift: 8, ..config() }, "loader.shift");
    for sides in [vec![], vec![3, 8], vec![8, 4]] {
        refuse(BatchSpec { sides, ..spec(config()) }, "loader.sides");
    }
    for (rank, of) in [(0, 0), (2, 2), (0, 5)] {
        refuse(BatchSpec { shard: Shard { rank, of }, ..spec(config()) }, "loader.shard");
    }
}

#[test]
fn settings_are_read_and_unknown_ones_refused() {
    let read = |text: &str| toml::from_str::<LoaderConfig>(text);
    let error = |text: &str| read(text).unwrap_err().to_string();
    assert!(error("bach = 3").contains("bach"));
    assert_eq!(read("batch = 3").unwrap(), LoaderConfig { batch: 3, ..Default::default() });
    let five = LoaderConfig { load_side: 64, repeat: repeat(5), ..Default::default() };
    assert_eq!(read(&toml::to_string(&five).unwrap()).unwrap(), five);
    assert_eq!(read("repeat.times = 2").unwrap().repeat, repeat(2));
    assert_eq!(read("repeat.tag = 'rare'").unwrap().repeat, Repeat { tag: "rare".to_owned(), times: 3 });
    assert!(error("repeat = { time = 2 }").contains("`times`"));
}

#[test]
fn workers_and_cache_do_not_matter_and_resuming_continues() {
    let data = set(14);
    let whole = take(&data, &spec(config()), 0, 12);
    assert_same(&whole, &take(&data, &spec(LoaderConfig { workers: 3, ..config() }), 0, 12));
    assert_same(&whole, &take(&data, &spec(LoaderConfig { cache_mib: 0, workers: 2, ..config() }), 0, 12));
    assert_same(&whole[7..], &take(&data, &spec(LoaderConfig { workers: 2, ..config() }), 7, 5));
    let mut loader = Loader::new(Arc::clone(&data), Split::All, spec(config()), 7).unwrap();
    loader.next();
    assert_eq!(loader.position(), 8);
    let other = take(&data, &BatchSpec { seed: 6, ..spec(config()) }, 0, 12);
    assert!(whole.iter().zip(&other).any(|(a, b)| a.keys != b.keys));
}

#[test]
fn epochs_draw_tagged_records_more_often_and_drop_the_remainder() {
    let data = set(14); // five of them carry the tag
    let six = spec(LoaderConfig { batch: 6, ..config() });
    let loader = Loader::new(Arc::clone(&data), Split::All, six.clone(), 0).unwrap();
    assert_eq!(loader.batches_per_epoch(), (9 + 5 * 3) / 6);
    let batches = take(&data, &six, 0, 8);
    for epoch in batches.chunks(4).enumerate() {
        assert!(epoch.1.iter().all(|b| b.epoch == epoch.0 as u64));
        for r in data.records() {
            let n = epoch.1.iter().flat_map(|b| &b.keys).filter(|k| **k == r.key).count();
            assert_eq!(n, if r.has_tag("color") { 3 } else { 1 }, "{}", r.key);
        }
    }
    assert_ne!(batches[0].keys, batches[4].keys);
    let odd = spec(LoaderConfig { batch: 5, repeat: repeat(1), ..config() });
    assert_eq!(take(&data, &odd, 0, 3).iter().map(|b| b.epoch).collect::<Vec<_>>(), [0, 0, 1]);
    let none = Repeat { tag: "no record's".to_owned(), times: 9 };
    let loader = Loader::new(data, Split::All, spec(LoaderConfig { repeat: none, ..config() }), 0).unwrap();
    assert_eq!(loader.batches_per_epoch(), 14 / 4);
}

#[test]
fn batches_hold_what_their_records_hold() {
    let data = set(14);
    let plain = spec(LoaderConfig { load_side: 8, shift: 0, flip: false, ..config() });
    for batch in take(&data, &plain, 0, 5) {
        let dims: Vec<_> = batch.images.iter().map(|t| t.dims().to_vec()).collect();
        assert_eq!(dims, [[4, 3, 2, 2], [4, 3, 4, 4], [4, 3, 8, 8]]);
        for (i, key) in batch.keys.iter().enumerate() {
            let at = data.records().iter().position(|r| r.key == *key).unwrap();
            assert!(data.records()[at].captions.contains(&batch.captions[i]));
            assert_eq!(batch.classes().unwrap()[i] as usize, at);
            let alone = data.load_image(at, 8).unwrap().to_tensor(&candle_core::Device::Cpu).unwrap();
            assert_close(key, &batch.images[2].get(i).unwrap(), &alone, Tol::EXACT).unwrap();
        }
        for (stage, factor) in [(0, 4), (1, 2)] {
            let mean = batch.images[2].avg_pool2d(factor).unwrap();
            assert_close("area mean of the finest", &batch.images[stage], &mean, Tol::LAYER).unwrap();
        }
    }
    let drawn: std::collections::BTreeSet<String> =
        take(&data, &plain, 0, 60).into_iter().flat_map(|b| b.captions).collect();
    assert_eq!(drawn.len(), 28, "every caption is drawn");
}

#[test]
fn dropping_a_loader_ends_its_threads() {
    let data = set(14);
    let four = spec(LoaderConfig { workers: 4, ..config() });
    let loader = Loader::new(Arc::clone(&data), Split::All, four, 0).unwrap();
    drop(loader);
    assert_eq!(Arc::strong_count(&data), 1, "joined threads hold nothing");
}

#[test]
fn an_image_that_vanishes_is_an_error_at_next() {
    let folder = TempDir::new().unwrap();
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(format!("{name}.png")), png(8, [1, 2, 3], 0)).unwrap();
        std::fs::write(folder.path().join(format!("{name}.txt")), name).unwrap();
    }
    let data = Arc::new(Dataset::open(folder.path()).unwrap());
    std::fs::remove_file(folder.path().join("a.png")).unwrap();
    let two = spec(LoaderConfig { batch: 2, ..config() });
    let mut loader = Loader::new(data, Split::All, two, 0).unwrap();
    let error = loader.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("a.png"), "{error}");
    assert!(loader.next().is_none());
}
