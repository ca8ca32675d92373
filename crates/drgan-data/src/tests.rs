use crate::{Batch, DataError, Dataset, Image, Loader, LoaderConfig, Split};
use drgan_tensor::testing::{Tol, assert_close};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A png of one colour with a mark that tells it from others of its colour.
fn png(side: u32, rgb: [u8; 3], mark: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(side, side, |x, y| {
        image::Rgb(if x + y * side == mark { [255 - rgb[0], rgb[1], 9] } else { rgb })
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn tar_of(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// `n` pictures with two captions each; every third names a colour; classes 0..n.
fn entries(n: u32) -> Vec<(String, Vec<u8>)> {
    (0..n)
        .flat_map(|i| {
            let shade = (i * 7 % 256) as u8;
            let json = format!("{{\"class_id\": {i}, \"names_colour\": {}, \"other\": [1]}}", i % 3 == 0);
            [
                (format!("k{i:03}.png"), png(8, [shade, 255 - shade, 100], i % 64)),
                (format!("k{i:03}.txt"), format!("thing {i}\na thing {i}\n\n").into_bytes()),
                (format!("k{i:03}.json"), json.into_bytes()),
            ]
        })
        .collect()
}

fn open_tar(bytes: &[u8]) -> Result<Dataset, DataError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("set.tar");
    std::fs::write(&path, bytes).unwrap();
    // Kept for the pictures that are read later; the system clears its temporary folder.
    let _ = folder.keep();
    Dataset::open(&path)
}

fn set(n: u32) -> Arc<Dataset> {
    Arc::new(open_tar(&tar_of(&entries(n))).unwrap())
}

fn config() -> LoaderConfig {
    LoaderConfig { batch: 4, sides: vec![2, 4, 8], load_side: 10, seed: 5, ..Default::default() }
}

fn take(data: &Arc<Dataset>, config: &LoaderConfig, start: u64, n: usize) -> Vec<Batch> {
    let loader = Loader::new(Arc::clone(data), Split::All, config.clone(), start).unwrap();
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

fn message(result: Result<Dataset, DataError>, words: &[&str]) {
    let text = result.expect_err("should be refused").to_string();
    assert!(words.iter().all(|w| text.contains(w)), "`{text}` should contain {words:?}");
}

#[test]
fn missing_truncated_and_no_tar() {
    message(Dataset::open(Path::new("no/such.tar")), &["no/such.tar", "not found"]);
    let whole = tar_of(&entries(3));
    message(open_tar(&whole[..whole.len() / 2]), &["set.tar", "truncated", "k001"]);
    message(open_tar(&whole[..whole.len() - 1024]), &["truncated", "k002.json"]);
    message(open_tar(&[7; 2000]), &["not a readable tar"]);
    message(open_tar(b""), &["not a readable tar"]);
    message(open_tar(&tar_of(&[])), &["0 picture(s)", "at least two"]);
}

#[test]
fn captions_must_be_there_and_utf8() {
    for (bytes, word) in [(&b" \n\n"[..], "empty"), (b"\xff\xfe", "UTF-8")] {
        let mut all = entries(3);
        all[4].1 = bytes.to_vec();
        message(open_tar(&tar_of(&all)), &["k001.txt", word]);
    }
    let mut all = entries(3);
    all.remove(4);
    message(open_tar(&tar_of(&all)), &["no k001.txt"]);
    let mut all = entries(3);
    all[5].1 = b"{\"class_id\": -1}".to_vec();
    message(open_tar(&tar_of(&all)), &["k001.json", "class_id"]);
    message(open_tar(&tar_of(&entries(1))), &["1 picture(s)", "at least two"]);
}

#[test]
fn folders_with_text_files_and_with_metadata() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("sub")).unwrap();
    for name in ["b.png", "sub/a.png"] {
        std::fs::write(root.join(name), png(5, [200, 0, 0], 3)).unwrap();
    }
    message(Dataset::open(root), &["neither metadata.jsonl nor a .txt"]);
    std::fs::write(root.join("b.txt"), "\u{feff}a red thing\r\nred\r\n").unwrap();
    message(Dataset::open(root), &["sub/a.png", "no .txt"]);
    std::fs::write(root.join("sub/a.txt"), "another").unwrap();
    let data = Dataset::open(root).unwrap();
    let keys: Vec<&str> = data.records().iter().map(|r| &*r.key).collect();
    assert_eq!(keys, ["b", "sub/a"]);
    assert_eq!(data.records()[0].captions, ["a red thing", "red"]);
    assert_eq!(data.load_image(1, 5).unwrap().rgb[..3], [200, 0, 0]);

    let metadata = |text: &str| {
        std::fs::write(root.join("metadata.jsonl"), text).unwrap();
        Dataset::open(root)
    };
    let good = "{\"file_name\": \"sub/a.png\", \"text\": [\"x\", \"y\"], \"class_id\": 4}\n\n\
                {\"file_name\": \"b.png\", \"text\": \"one\", \"extra\": 1}\n";
    let data = metadata(good).unwrap();
    assert_eq!(data.records()[0].captions, ["one"]);
    assert_eq!((data.records()[1].captions.len(), data.records()[1].class_id), (2, Some(4)));
    message(metadata("{\"file_name\": \"c.png\", \"text\": \"x\"}"), &["line 1", "c.png"]);
    message(metadata("{\"file_name\": \"b.png\"}"), &["line 1", "text"]);
    message(metadata("{\"file_name\": \"b.png\", \"text\": \" \"}"), &["b.png", "empty"]);
    message(metadata(&format!("{good}{good}")), &["second line"]);
}

#[test]
fn transparent_is_white_and_the_square_is_central() {
    let wide = image::RgbaImage::from_fn(6, 2, |x, _| {
        image::Rgba(if (2..4).contains(&x) { [0, 0, 0, 0] } else { [9, 9, 9, 255] })
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    wide.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let picture = crate::image::load(bytes.get_ref(), 2, None).unwrap();
    assert_eq!(picture.rgb, [255; 12]);
    let half = image::RgbaImage::from_pixel(2, 2, image::Rgba([0, 100, 255, 128]));
    assert_eq!(crate::image::on_white(&half).get_pixel(0, 0).0, [127, 177, 255]);
}

#[test]
fn pictures_become_planes_in_unit_range() {
    let picture = Image { side: 1, rgb: vec![0, 255, 51] };
    let t = picture.to_tensor(&candle_core::Device::Cpu).unwrap();
    assert_eq!(t.dims(), [3, 1, 1]);
    let v = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!((v[0] + 1.).abs() < 1e-6 && (v[1] - 1.).abs() < 1e-6 && (v[2] + 0.6).abs() < 1e-6, "{v:?}");
}

#[test]
fn undecodable_pictures_are_skipped_up_to_one_in_a_hundred() {
    let mut all = entries(100);
    all[30].1 = b"no picture".to_vec();
    let data = Arc::new(open_tar(&tar_of(&all)).unwrap());
    let everything: Vec<usize> = (0..100).collect();
    let loaded = data.load_all(&everything, 4).unwrap();
    assert_eq!((loaded.images.len(), &loaded.skipped[..]), (99, &["k010.png".to_owned()][..]));
    assert_eq!(loaded.tensor(0..3, &candle_core::Device::Cpu).unwrap().dims(), [3, 3, 4, 4]);
    assert!(loaded.tensor(98..100, &candle_core::Device::Cpu).is_err());
    let config = LoaderConfig { workers: 2, colour_repeat: 1, ..config() };
    let mut loader = Loader::new(Arc::clone(&data), Split::All, config.clone(), 0).unwrap();
    let keys: Vec<String> = loader.by_ref().take(25).flat_map(|b| b.unwrap().keys).collect();
    assert!(!keys.contains(&"k010".to_owned()) && keys.len() == 100);
    assert_eq!(loader.skipped(), ["k010.png"]);

    all[60].1 = b"no picture".to_vec();
    let data = Arc::new(open_tar(&tar_of(&all)).unwrap());
    let error = data.load_all(&everything, 4).unwrap_err().to_string();
    assert!(error.contains("2 of 100") && error.contains("k010.png, k020.png"), "{error}");
    let results: Vec<_> = Loader::new(data, Split::All, config, 0).unwrap().take(200).collect();
    assert!(results.len() <= 25, "the iterator ends after the error: {}", results.len());
    let error = results.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("above 1 %"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let data = set(6);
    let refuse = |config: LoaderConfig, word: &str| {
        let Err(e) = Loader::new(Arc::clone(&data), Split::All, config, 0) else {
            panic!("accepted: {word}")
        };
        assert!(e.to_string().contains(word), "{e}");
    };
    refuse(LoaderConfig { batch: 7, ..config() }, "batch 7 is larger than the data set (6 pictures)");
    refuse(LoaderConfig { batch: 0, ..config() }, "loader.batch");
    refuse(LoaderConfig { workers: 0, ..config() }, "loader.workers");
    refuse(LoaderConfig { colour_repeat: 0, ..config() }, "loader.colour_repeat");
    refuse(LoaderConfig { sides: vec![], ..config() }, "loader.sides");
    refuse(LoaderConfig { sides: vec![3, 8], ..config() }, "loader.sides");
    refuse(LoaderConfig { sides: vec![8, 4], ..config() }, "loader.sides");
    refuse(LoaderConfig { load_side: 7, ..config() }, "loader.load_side");
    refuse(LoaderConfig { shift: 8, ..config() }, "loader.shift");
    let e = toml::from_str::<LoaderConfig>("bach = 3").unwrap_err().to_string();
    assert!(e.contains("bach"), "{e}");
    assert_eq!(toml::from_str::<LoaderConfig>("batch = 3").unwrap().batch, 3);
}

#[test]
fn workers_and_cache_do_not_matter_and_resuming_continues() {
    let data = set(14);
    let whole = take(&data, &config(), 0, 12);
    assert_same(&whole, &take(&data, &LoaderConfig { workers: 3, ..config() }, 0, 12));
    assert_same(&whole, &take(&data, &LoaderConfig { cache_mib: 0, workers: 2, ..config() }, 0, 12));
    assert_same(&whole[7..], &take(&data, &LoaderConfig { workers: 2, ..config() }, 7, 5));
    let mut loader = Loader::new(Arc::clone(&data), Split::All, config(), 7).unwrap();
    loader.next();
    assert_eq!(loader.position(), 8);
    let other = take(&data, &LoaderConfig { seed: 6, ..config() }, 0, 12);
    assert!(whole.iter().zip(&other).any(|(a, b)| a.keys != b.keys));
}

#[test]
fn epochs_draw_named_colours_more_often_and_drop_the_remainder() {
    let data = set(14); // five of them name a colour
    let config = LoaderConfig { batch: 6, ..config() };
    let loader = Loader::new(Arc::clone(&data), Split::All, config.clone(), 0).unwrap();
    assert_eq!(loader.batches_per_epoch(), (9 + 5 * 3) / 6);
    let batches = take(&data, &config, 0, 8);
    for epoch in batches.chunks(4).enumerate() {
        assert!(epoch.1.iter().all(|b| b.epoch == epoch.0 as u64));
        for r in data.records() {
            let n = epoch.1.iter().flat_map(|b| &b.keys).filter(|k| **k == r.key).count();
            assert_eq!(n, if r.names_colour { 3 } else { 1 }, "{}", r.key);
        }
    }
    assert_ne!(batches[0].keys, batches[4].keys);
    let odd = LoaderConfig { batch: 5, colour_repeat: 1, ..config };
    assert_eq!(take(&data, &odd, 0, 3).iter().map(|b| b.epoch).collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn batches_hold_what_their_records_hold() {
    let data = set(14);
    let plain = LoaderConfig { load_side: 8, shift: 0, flip: false, ..config() };
    for batch in take(&data, &plain, 0, 5) {
        let dims: Vec<_> = batch.images.iter().map(|t| t.dims().to_vec()).collect();
        assert_eq!(dims, [[4, 3, 2, 2], [4, 3, 4, 4], [4, 3, 8, 8]]);
        for (i, key) in batch.keys.iter().enumerate() {
            let at = data.records().iter().position(|r| r.key == *key).unwrap();
            assert!(data.records()[at].captions.contains(&batch.captions[i]));
            assert_eq!(batch.class_ids.as_ref().unwrap()[i] as usize, at);
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
    let loader =
        Loader::new(Arc::clone(&data), Split::All, LoaderConfig { workers: 4, ..config() }, 0).unwrap();
    drop(loader);
    assert_eq!(Arc::strong_count(&data), 1, "joined threads hold nothing");
}

#[test]
fn a_picture_that_vanishes_is_an_error_at_next() {
    let folder = TempDir::new().unwrap();
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(format!("{name}.png")), png(8, [1, 2, 3], 0)).unwrap();
        std::fs::write(folder.path().join(format!("{name}.txt")), name).unwrap();
    }
    let data = Arc::new(Dataset::open(folder.path()).unwrap());
    std::fs::remove_file(folder.path().join("a.png")).unwrap();
    let config = LoaderConfig { batch: 2, ..config() };
    let mut loader = Loader::new(data, Split::All, config, 0).unwrap();
    let error = loader.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("a.png"), "{error}");
    assert!(loader.next().is_none());
}

#[test]
fn the_split_holds_out_a_tenth_by_key() {
    let data = set(200);
    let (train, held) = (data.split(Split::Train), data.split(Split::HeldOut));
    assert!((8..35).contains(&held.len()), "{}", held.len());
    let mut both = [train, held.clone()].concat();
    both.sort_unstable();
    assert_eq!(both, data.split(Split::All));
    let fewer = set(100);
    let kept: Vec<usize> = held.into_iter().filter(|i| *i < 100).collect();
    assert_eq!(fewer.split(Split::HeldOut), kept, "adding pictures moves none");
}
