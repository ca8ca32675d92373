//! CUB and COCO in their layouts: small trees made here, and the real captions where they are.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use drgan_data::{Compression, DataError, Dataset, PublishedSet, Refusal, Split, verify};
use std::path::Path;
use std::process::Command;

fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// An image of 40 x 30 pixels, black but for a red bird at (10, 5), 12 x 10.
fn photograph(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let bird = |x: u32, y: u32| (10..22).contains(&x) && (5..15).contains(&y);
    let paint = |x, y| image::Rgb(if bird(x, y) { [255, 0, 0] } else { [0, 0, 0] });
    image::RgbImage::from_fn(40, 30, paint).save(path.with_extension("png")).unwrap();
    std::fs::rename(path.with_extension("png"), path).unwrap();
}

/// A list of names as Python 2's protocol 0 writes it.
fn names(names: &[&str]) -> Vec<u8> {
    let items: String = names.iter().map(|name| format!("V{name}\na")).collect();
    format!("(lp0\n{items}.").into_bytes()
}

const KEYS: [&str; 5] = ["001.A/a_1", "001.A/a_2", "002.B/b_1", "002.B/b_2", "003.C/c_1"];

/// Five birds of three classes; the last has no image.
fn birds(root: &Path) {
    let numbered = |line: &dyn Fn(usize, &str) -> String| -> String {
        KEYS.iter().enumerate().map(|(i, key)| format!("{} {}\n", i + 1, line(i, key))).collect()
    };
    let cub = root.join("CUB_200_2011");
    put(&cub.join("images.txt"), numbered(&|_, key| format!("{key}.jpg")));
    put(&cub.join("bounding_boxes.txt"), numbered(&|_, _| "10.0 5.0 12.0 10.0".to_owned()));
    put(&cub.join("train_test_split.txt"), numbered(&|i, _| u8::from(i % 2 == 0).to_string()));
    for (i, key) in KEYS.iter().enumerate() {
        let text = format!("a bird number {i}\n\nthe caf\u{e9} bird\n...\n");
        put(&root.join(format!("birds/text/{key}.txt")), text);
        if i < 4 {
            photograph(&cub.join(format!("images/{key}.jpg")));
        }
    }
    put(&root.join("birds/train/filenames.pickle"), names(&KEYS[..3]));
    put(&root.join("birds/test/filenames.pickle"), names(&KEYS[3..]));
}

#[test]
fn cub_in_attngans_layout_keeps_its_split_classes_and_crop() {
    let dir = tempfile::tempdir().unwrap();
    birds(dir.path());
    for root in [dir.path().to_owned(), dir.path().join("birds")] {
        let data = Dataset::open(&root).unwrap();
        assert_eq!((data.split(Split::Train).len(), data.split(Split::HeldOut).len()), (3, 1));
        let classes: Vec<_> = data.records().iter().map(|r| r.class_id).collect();
        assert_eq!(classes, [Some(1), Some(1), Some(2), Some(2)]);
        assert_eq!(data.records()[0].captions, ["a bird number 0", "the caf\u{e9} bird"]);
        assert_eq!(data.vocabulary_file(), None);
        let mut captions: Vec<&str> = data.vocabulary_captions().collect();
        captions.sort_unstable();
        let mut all: Vec<String> = (0..5).map(|i| format!("a bird number {i}")).collect();
        all.extend(["the caf\u{e9} bird"; 5].map(str::to_owned));
        assert_eq!(captions, all, "the captions of the missing image count");
        assert!(data.notes().iter().any(|n| n.contains("1 record has no image, first 003.C/c_1")));
        // 9 pixels each way around (16, 10): the bird fills half of the crop's area, a tenth of the image's.
        let image = data.load_image(0, 18).unwrap();
        let red = image.rgb.chunks(3).filter(|p| p[0] > 127).count();
        assert!((100..=140).contains(&red), "{red} of 324 pixels are the bird's 120");
    }
}

#[test]
fn a_tar_beside_cub_is_a_tar() {
    let dir = tempfile::tempdir().unwrap();
    birds(dir.path());
    let tar = dir.path().join("others.tar");
    put(&tar, "no tar");
    let e = Dataset::open(&tar).unwrap_err().to_string();
    assert!(e.contains("not a readable tar"), "{e}");
}

#[test]
fn plain_cub_takes_the_split_that_comes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    birds(dir.path());
    std::fs::remove_dir_all(dir.path().join("birds/train")).unwrap();
    let mut data = Dataset::open(dir.path()).unwrap();
    assert!(data.notes().iter().any(|n| n.contains("train/filenames.pickle is not")), "{:?}", data.notes());
    assert_eq!(data.split(Split::Train).len(), 2);
    data.split_by_key();
    assert_eq!(data.split(Split::Train).len() + data.split(Split::HeldOut).len(), 4);
}

#[test]
fn odd_lists_are_told_and_classes_are_the_lists_own() {
    let dir = tempfile::tempdir().unwrap();
    birds(dir.path());
    let numbers = |n: &[u8]| -> Vec<u8> {
        [
            b"(lp0\n".as_slice(),
            &n.iter().flat_map(|n| format!("I{n}\na").into_bytes()).collect::<Vec<_>>(),
            b".",
        ]
        .concat()
    };
    let info = dir.path().join("birds/train/class_info.pickle");
    put(&info, numbers(&[7, 7, 9]));
    let classes = |data: &Dataset| data.records().iter().map(|r| r.class_id.unwrap()).collect::<Vec<_>>();
    assert_eq!(
        classes(&Dataset::open(dir.path()).unwrap()),
        [7, 7, 9, 2],
        "the test part has no list of classes"
    );
    put(&info, numbers(&[7, 7]));
    let e = Dataset::open(dir.path()).unwrap_err().to_string();
    assert!(e.contains("class_info.pickle") && e.contains("2 classes for the 3 names"), "{e}");
    std::fs::remove_file(info).unwrap();

    put(&dir.path().join("birds/train/filenames.pickle"), names(&[KEYS[0], KEYS[3], "009.Z/z_9"]));
    let boxes = dir.path().join("CUB_200_2011/bounding_boxes.txt");
    let text = std::fs::read_to_string(&boxes).unwrap();
    put(&boxes, text.split_once('\n').unwrap().1);
    let notes = Dataset::open(dir.path()).unwrap().notes().join("\n");
    let said = verify(dir.path(), |_, _| {}).to_string();
    for part in [
        "1 name is in the lists of both parts, first 002.B/b_2: held out",
        "2 images of images.txt are in no part: left out, first 001.A/a_2",
        "1 listed name is not in images.txt: left out, first 009.Z/z_9",
        "1 image has no line in bounding_boxes.txt: taken whole, first 001.A/a_1",
    ] {
        assert!(notes.contains(part) && said.contains(part), "{part}\n{notes}\n{said}");
    }
}

#[test]
fn a_captions_pickle_is_the_vocabulary() {
    let dir = tempfile::tempdir().unwrap();
    birds(dir.path());
    let pickle = dir.path().join("birds/captions.pickle");
    put(&pickle, "");
    assert_eq!(Dataset::open(dir.path()).unwrap().vocabulary_file(), Some(&*pickle));
}

#[test]
fn coco_in_its_own_layout_and_in_attngans() {
    let dir = tempfile::tempdir().unwrap();
    let list = |ids: &[u64]| {
        let images: Vec<_> =
            ids.iter().map(|i| serde_json::json!({"id": i, "file_name": format!("{i:012}.jpg")})).collect();
        let notes: Vec<_> = ids
            .iter()
            .flat_map(|i| {
                ["a cat \n", "a dog"].map(|c| serde_json::json!({"image_id": i, "id": 1, "caption": c}))
            })
            .collect();
        serde_json::json!({"images": images, "annotations": notes}).to_string()
    };
    let own = dir.path().join("own");
    put(&own.join("annotations/captions_val2017.json"), list(&[1, 2, 3]));
    for i in [1, 2, 3] {
        photograph(&own.join(format!("val2017/{i:012}.jpg")));
    }
    let data = Dataset::open(&own).unwrap();
    assert!(data.records().iter().all(|r| r.part.is_none() && r.captions == ["a cat", "a dog"]));
    put(&own.join("annotations/captions_train2017.json"), list(&[4]));
    photograph(&own.join("train2017/000000000004.jpg"));
    let data = Dataset::open(&own).unwrap();
    assert_eq!((data.split(Split::Train).len(), data.split(Split::HeldOut).len()), (1, 3));

    for out in ["../4.jpg", "/4.jpg", "a/../../4.jpg"] {
        let text = list(&[4]).replace("000000000004.jpg", out);
        put(&own.join("annotations/captions_train2017.json"), text);
        let e = Dataset::open(&own).unwrap_err().to_string();
        assert!(e.contains("leads out of the set") && e.contains("captions_train2017.json"), "{e}");
    }

    let attngan = dir.path().join("coco");
    let keys = ["COCO_train2014_000000000009", "COCO_val2014_000000000042"];
    for key in keys {
        put(&attngan.join(format!("text/{key}.txt")), "a cat\na dog\n");
        photograph(&attngan.join(format!("images/{key}.jpg")));
    }
    put(&attngan.join("train/filenames.pickle"), names(&keys[..1]));
    put(&attngan.join("test/filenames.pickle"), names(&keys[1..]));
    let data = Dataset::open(&attngan).unwrap();
    assert_eq!((data.split(Split::Train), data.split(Split::HeldOut)), (vec![0], vec![1]));
    // A name in both lists is held out.
    put(&attngan.join("train/filenames.pickle"), names(&keys));
    let data = Dataset::open(&attngan).unwrap();
    assert_eq!((data.split(Split::Train).len(), data.split(Split::HeldOut)), (1, vec![1]));
    let note = format!("1 name is in the lists of both parts, first {}: held out", keys[1]);
    assert!(data.notes().contains(&note), "{:?}", data.notes());
    put(&attngan.join("train/filenames.pickle"), names(&keys[..1]));
    // The archives as they unpack: text and images in train2014/ and val2014/.
    for (key, part) in keys.iter().zip(["train2014", "val2014"]) {
        for (from, ending) in [("text", "txt"), ("images", "jpg")] {
            std::fs::create_dir_all(attngan.join(part)).unwrap();
            let name = format!("{key}.{ending}");
            std::fs::rename(attngan.join(from).join(&name), attngan.join(part).join(&name)).unwrap();
        }
    }
    let data = Dataset::open(&attngan).unwrap();
    assert_eq!((data.split(Split::Train), data.split(Split::HeldOut)), (vec![0], vec![1]));
    for part in ["train2014", "val2014"] {
        std::fs::remove_dir_all(attngan.join(part)).unwrap();
    }
    let e = Dataset::open(&attngan).unwrap_err().to_string();
    assert!(e.contains("unpack train2014-text.zip"), "{e}");
    put(&attngan.join("train/filenames.pickle"), names(&KEYS[..1]));
    let e = Dataset::open(&attngan).unwrap_err().to_string();
    assert!(e.contains("unpack CUB_200_2011.tgz"), "{e}");
    let above = dir.path().join("above");
    std::fs::create_dir_all(&above).unwrap();
    std::fs::rename(&attngan, above.join("birds")).unwrap();
    let e = Dataset::open(&above).unwrap_err().to_string();
    assert!(e.contains("unpack CUB_200_2011.tgz"), "{e}");
}

#[test]
fn verification_says_what_it_is_and_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = |path: &Path| verify(path, |_, _| {}).refusal.unwrap().to_string();
    birds(dir.path());
    let found = verify(dir.path(), |_, _| {});
    assert_eq!(found.set, Some(PublishedSet::Cub));
    assert_eq!(found.data.as_ref().unwrap().records().len(), 4);
    let said = found.to_string();
    assert!(found.refusal.is_none(), "{said}");
    for part in [
        "AttnGAN's layout",
        "captions       15",
        "split          3 / 2",
        "5 captions have no word",
        "003.C/c_1",
        "every image",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    put(&dir.path().join("CUB_200_2011/images/001.A/a_1.jpg"), "no image");
    let mut said = vec![(refusal(dir.path()), ["1 of 3 images does not decode", "a_1"])];
    put(&dir.path().join("CUB_200_2011/bounding_boxes.txt"), "1 10 x\n");
    said.push((refusal(dir.path()), ["bounding_boxes.txt", "`10 x`"]));
    put(&dir.path().join("CUB_200_2011/images.txt"), "1 001.A/a_1.jpg\n\nbroken\n");
    said.push((refusal(dir.path()), ["images.txt: `line 3`", "`broken`"]));
    std::fs::remove_dir_all(dir.path().join("birds")).unwrap();
    said.push((refusal(dir.path()), ["without captions", "; put"]));
    put(&dir.path().join("birds/text.zip"), "");
    said.push((refusal(dir.path()), ["unzip", "birds/text.zip"]));
    said.push((refusal(&dir.path().join("absent")), ["not found", "absent"]));
    for (said, parts) in said {
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}\n{said}");
    }
    for (bytes, compression) in [
        (&b"\xfd7zXZ\0..."[..], Compression::Xz),
        (b"PK\x03\x04...", Compression::Zip),
        (b"BZh91AY", Compression::Bzip2),
        (b"\x28\xb5\x2f\xfd...", Compression::Zstd),
    ] {
        let packed = dir.path().join("a.tar");
        put(&packed, bytes);
        match verify(&packed, |_, _| {}).refusal {
            Some(Refusal::Data(DataError::Compressed { compression: said, .. })) => {
                assert_eq!(said, compression)
            }
            other => panic!("{compression}: {other:?}"),
        }
    }
}

/// The real captions, splits and boxes of CUB.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
fn the_real_cub_has_its_published_counts() {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join("shared/data/cub"));
    let Some(cub) = above.into_iter().find(|p| p.join("cub_metadata.tar.xz").exists()) else {
        eprintln!("skipped: no shared/data/cub beside the repository");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for packed in ["cub_metadata.tar.xz", "cub_birds_text_and_splits.tar.xz"] {
        let unpacked =
            Command::new("tar").arg("xJf").arg(cub.join(packed)).arg("-C").arg(dir.path()).status();
        if !unpacked.is_ok_and(|s| s.success()) {
            eprintln!("skipped: no tar with xz here");
            return;
        }
    }
    let copied = Command::new("cp")
        .arg("-r")
        .arg(cub.join("images"))
        .arg(dir.path().join("CUB_200_2011/images"))
        .status();
    assert!(copied.unwrap().success());
    let said = verify(dir.path(), |_, _| {}).to_string();
    for part in [
        "records        11788",
        "captions       117880",
        "split          8855 / 2933",
        "usable         7 images",
        "11781 records have no image",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let mut data = Dataset::open(dir.path()).unwrap();
    // AttnGAN's words: letters and digits, lower case, without what is not ASCII.
    let words: std::collections::HashSet<String> = data
        .vocabulary_captions()
        .flat_map(|caption| caption.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .map(|word| word.to_lowercase().chars().filter(char::is_ascii).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(words.len(), 5449);
    data.split_by_key();
    let loaded = data.load_part(&(0..7).collect::<Vec<_>>(), 32).unwrap();
    assert_eq!((loaded.images.len(), loaded.skipped.len()), (7, 0));
}
