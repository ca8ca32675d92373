//! Lists in Hugging Face's layout, COCO's and AttnGAN's: what others write is read, what cannot be meant is refused by place and
//! field.
use crate::test_sets::png;
use crate::{Dataset, Split};
use std::path::Path;
use tempfile::TempDir;

/// A folder with pictures of these names.
fn folder(pictures: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (i, name) in pictures.iter().enumerate() {
        put(folder.path(), name, png(4, [i as u8, 0, 0], 1));
    }
    folder
}

fn put(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Every record as `KEY: CAPTION|CAPTION`, and the notes.
fn read(root: &Path) -> Result<(Vec<String>, String), String> {
    let data = Dataset::open(root).map_err(|e| e.to_string())?;
    let records = data.records().iter().map(|r| format!("{}: {}", r.key, r.captions.join("|"))).collect();
    Ok((records, data.notes().join("\n")))
}

/// The set of `a.png`, `b.png`, `c.png`, `sub/d.png` and this list.
fn listed(name: &str, list: impl AsRef<[u8]>) -> Result<(Vec<String>, String), String> {
    let folder = folder(&["a.png", "b.png", "c.png", "sub/d.png"]);
    put(folder.path(), name, list);
    read(folder.path())
}

fn refused(name: &str, list: impl AsRef<[u8]>, words: &[&str]) {
    let e = listed(name, list).expect_err("should be refused");
    assert!(e.contains(name) && words.iter().all(|w| e.contains(w)), "`{e}` should contain {words:?}");
}

const A_AND_D: [&str; 2] = ["a: red", "sub/d: blue, or so"];

#[test]
fn lists_of_lines_arrays_and_tables_say_the_same() {
    let lines = [
        r#"{"file_name": "a.png", "text": "red"}"#,
        r#"{"file_name": "sub/d.png", "caption": ["blue, or so"]}"#,
    ];
    let table = ["File_Name,ignored,Caption", "a.png,1,red", "sub/d.png,2,\"blue, or so\""];
    for end in ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"] {
        for mark in ["", "\u{feff}"] {
            for list in [lines.join(end), format!("[{end}{}{end}]", lines.join(&format!(",{end}")))] {
                assert_eq!(
                    listed("metadata.jsonl", format!("{mark}{list}{end}")).unwrap().0,
                    A_AND_D,
                    "{end:?}"
                );
            }
            let list = format!("{mark}{}", table.join(end));
            assert_eq!(listed("metadata.csv", list).unwrap().0, A_AND_D, "{end:?}");
        }
    }
    let (records, _) = listed("metadata.jsonl", lines.join("\n").replace("sub/d", "sub\\\\d")).unwrap();
    assert_eq!(records.len(), 2, "a path of Windows");
    let (records, _) =
        listed("metadata.csv", "filename,text\na.png,\"over\ntwo \"\"lines\"\"\"\nb.png,x").unwrap();
    assert_eq!(records[0], "a: over\ntwo \"lines\"");
}

#[test]
fn nulls_are_counted_and_do_not_refuse_a_set() {
    let list = r#"{"file_name": "a.png", "text": "red", "label": 0, "class_id": 2.0}
        {"file_name": "b.png", "text": null, "label": null}
        {"file_name": null, "text": "lost"}
        {"text": "lost too"}
        {"file_name": "sub/d.png", "text": [null, "blue", ["", "round"]], "label": [1]}
        {"file_name": "./a.png", "text": ["red", "scarlet"]}"#;
    let (records, notes) = listed("metadata.jsonl", list).unwrap();
    assert_eq!(records, ["a: red|scarlet", "sub/d: blue|round"]);
    for note in [
        "1 picture is not in the list, first c.png",
        "2 entries of lists name no picture, first metadata.jsonl, line 3: left out",
        "1 picture has no caption in the list, first b.png: left out",
        "2 captions are null or blank, first sub/d.png: left out",
        "1 entry of lists is for a picture that has one, first ./a.png: its captions are added",
    ] {
        assert!(notes.contains(note), "{note}\n{notes}");
    }
    let (records, notes) = listed("metadata.csv", "text,file_name\nred,a.png\n,b.png\nx,\ny,c.png").unwrap();
    assert_eq!(records, ["a: red", "c: y"]);
    assert!(
        notes.contains("no caption in the list, first b.png") && notes.contains("metadata.csv, line 4"),
        "{notes}"
    );
    let e = listed("metadata.jsonl", r#"{"file_name": "a.png", "text": ""}"#).unwrap_err();
    assert!(e.contains("`a.png`: empty, as all"), "{e}");
}

#[test]
fn a_message_names_file_line_and_field() {
    let good = r#"{"file_name": "a.png", "text": "x"}"#;
    for (bad, words) in [
        (r#"{"file_name": "b.png", "text": "x", "class_id": -1}"#, &["line 3", "`class_id` is -1"][..]),
        (r#"{"file_name": "b.png", "text": {"en": "x"}}"#, &["line 3", "`text` holds an object"]),
        (r#"{"file_name": "b.png", "text": true}"#, &["line 3", "`text` holds true or false"]),
        (r#"{"file_name": "b.png", "text": "x", "text": "y"}"#, &["line 3", "`text` is given twice"]),
        (r#"{"file_name": 7, "text": "x"}"#, &["line 3", "`file_name` is a number"]),
        (r#"{"file_name": "../b.png", "text": "x"}"#, &["line 3", "`file_name` ../b.png leads out"]),
        (r#"{"file_name": "/etc/b.png", "text": "x"}"#, &["line 3", "leads out"]),
        (r#"{"file_name": "..\\b.png", "text": "x"}"#, &["line 3", "no file"]),
        (r#"{"file_name": "z.png", "text": "x"}"#, &["line 3", "z.png", "correct `file_name`"]),
        (r#"{"file_name": "b.png", "text": "x",}"#, &["line 3", "trailing comma", "column"]),
        (r#"{"file_name": "b.png", "text": NaN}"#, &["line 3", "not JSON", "column"]),
        ("[1]", &["line 3", "an object"]),
    ] {
        refused("metadata.jsonl", format!("{good}\n\n{bad}\n"), words);
    }
    refused("metadata.jsonl", format!("[{good},\n 5]"), &["line 2", "an object"]);
    refused("metadata.jsonl", format!("[{good},\n {good},\n]"), &["line 3", "trailing comma"]);
    refused("metadata.jsonl", b"{}\n\xff", &["line 2", "not UTF-8"]);
    refused("metadata.csv", b"\xff\xfef\0i\0l\0e\0", &["line 1", "not UTF-8; write the list"]);
    refused(
        "metadata.jsonl",
        "{\"image\": \"a.png\", \"title\": 1}",
        &["line 1", "`caption`", "has `image`, `title`"],
    );
    refused(
        "metadata.csv",
        "file_name,text\na.png,x\r\nb.png,red, and round",
        &["line 3", "3 values for 2", "quotes"],
    );
    // The value would go on into the next rows, and take their captions.
    let open = "file_name,text\na.png,\"a red square\nb.png,\"a tall tower\nc.png,x";
    refused("metadata.csv", open, &["line 2", "text follows a closing quote"]);
    refused(
        "metadata.csv",
        "file_name,text\na.png,x\nb.png,\"a tall tower\nc.png,x",
        &["line 3", "not closed"],
    );
    refused("metadata.csv", "a.png,red\nb.png,blue", &["line 1", "`file_name`", "among `a.png`, `red`"]);
    refused("metadata.csv", "file_name;text\na.png;red", &["line 1", "separated by commas"]);
    refused("metadata.csv", "", &["line 1", "no column"]);
    refused(
        "metadata.csv",
        "file_name,text,class_id\na.png,x,\n\rb.png,y,red",
        &["line 4", "`class_id` is \"red\""],
    );
    refused("metadata.parquet", "PAR1", &["not read", "metadata.jsonl or metadata.csv"]);
}

#[test]
fn pictures_of_one_stem_are_two_records_and_other_keys_stay() {
    let root = folder(&["p.png", "p.jpg", "q.png", "p.png.gif"]);
    let line = |name: &str| format!("{{\"file_name\": \"{name}\", \"text\": \"{name}\"}}\n");
    put(root.path(), "metadata.jsonl", ["p.png", "p.jpg", "q.png", "p.png.gif"].map(line).concat());
    let (records, _) = read(root.path()).unwrap();
    assert_eq!(records, ["p.jpg: p.jpg", "p.png: p.png", "p.png.gif: p.png.gif", "q: q.png"]);
}

#[test]
fn folders_of_parts_are_the_parts() {
    for above in ["", "data/"] {
        let root = folder(&[]);
        let put = |name: &str, bytes: &[u8]| put(root.path(), &format!("{above}{name}"), bytes);
        for (part, name) in [("train", "metadata.jsonl"), ("validation", "metadata.csv")] {
            for i in 0..3 {
                put(&format!("{part}/{i}.png"), &png(4, [i, 0, 0], 1));
            }
            let list = match name {
                "metadata.csv" => "file_name,text\n0.png,x\n1.png,y\n".to_owned(),
                _ => (0..3).map(|i| format!("{{\"file_name\": \"{i}.png\", \"text\": \"t\"}}\n")).collect(),
            };
            put(&format!("{part}/{name}"), list.as_bytes());
        }
        put("train/metadata.parquet", b"");
        let data = Dataset::open(root.path()).unwrap();
        assert_eq!((data.split(Split::Train), data.split(Split::HeldOut)), (vec![0, 1, 2], vec![3, 4]));
        assert_eq!(data.records()[3].key, format!("{above}validation/0"));
        let notes = data.notes().join("\n");
        assert!(notes.contains(&format!("first {above}validation/2.png")), "{notes}");
        assert!(notes.contains(&format!("first {above}train/metadata.parquet")), "{notes}");
        // A path that is absolute stays one below a folder.
        put("train/metadata.jsonl", b"{\"file_name\": \"/0.png\", \"text\": \"x\"}");
        let e = read(root.path()).unwrap_err();
        assert!(e.contains("leads out") && e.contains("line 1"), "{e}");
        // One part alone is divided by key.
        std::fs::remove_dir_all(root.path().join(format!("{above}train"))).unwrap();
        assert!(Dataset::open(root.path()).unwrap().records().iter().all(|r| r.part.is_none()));
    }
}

/// The set of COCO's list with these images and annotations, and the pictures `train2017/1.jpg` to `3.jpg`.
fn coco(images: &str, annotations: &str) -> Result<(Vec<String>, String), String> {
    let root = folder(&["train2017/1.jpg", "train2017/2.jpg", "train2017/3.jpg", "train2017/1.png"]);
    let list = format!("\u{feff}{{\"images\": [{images}], \"annotations\": [{annotations}]}}");
    put(root.path(), "annotations/captions_train2017.json", list);
    read(root.path())
}

#[test]
fn coco_with_ids_in_quotes_nulls_and_paths() {
    let images = r#"{"id": "1", "file_name": "train2017/1.jpg"}, {"id": -2, "file_name": "2.jpg"},
        {"id": 18446744073709551615, "file_name": "elsewhere/train2017/3.jpg"}, {"id": 4, "file_name": null},
        {"id": "x", "file_name": "1.png"}"#;
    let annotations = r#"{"image_id": 1, "caption": "one"}, {"image_id": "-2", "caption": null},
        {"image_id": -2.0, "caption": ["two", null]}, {"image_id": "18446744073709551615", "caption": "three"},
        {"image_id": "x", "caption": "png"}, {"image_id": 99, "caption": "a"}, {"image_id": null, "caption": "b"}"#;
    let (records, notes) = coco(images, annotations).unwrap();
    let keys = ["train2017/1.jpg: one", "train2017/1.png: png", "train2017/2: two"];
    assert_eq!(records, [&keys[..], &["train2017/elsewhere/train2017/3: three"]].concat());
    for note in [
        "2 captions are null or blank, first annotations[1] of captions_train2017.json",
        "1 entry of lists names no picture, first images[3] of",
        "2 captions or descriptions have no picture, first annotations[6] of",
    ] {
        assert!(notes.contains(note), "{note}\n{notes}");
    }
    let good = r#"{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}"#;
    let of = |i: u32| format!("{{\"image_id\": {i}, \"caption\": \"c\"}}");
    assert!(
        coco(good, &[of(1), of(2)].join(","))
            .unwrap()
            .1
            .contains("1 picture is not in the list, first train2017/3.jpg")
    );
    for (images, annotations, words) in [
        (
            good,
            r#"{"image_id": 1e30, "caption": "c"}"#,
            &["annotations[0]", "`image_id` is 1e", "quotes"][..],
        ),
        (good, r#"{"image_id": [1], "caption": "c"}"#, &["annotations[0]", "`image_id` is a list"]),
        (good, r#"{"image_id": 1, "caption": {"a": 1}}"#, &["annotations[0]", "`caption` holds an object"]),
        (
            good,
            r#"{"image_id": 1, "caption": "c", "caption": "d"}"#,
            &["duplicate field `caption`", "line 1"],
        ),
        (r#"{"id": true, "file_name": "1.jpg"}"#, "", &["images[0]", "`id` is true or false"]),
        (r#"{"id": 1, "file_name": 1}"#, "", &["images[0]", "`file_name` is a number"]),
        (r#"{"id": 1, "file_name": "/1.jpg"}"#, "", &["images[0]", "leads out"]),
        (r#"{"id": 1, "file_name": "..\\..\\1.jpg"}"#, "", &["images[0]", "leads out"]),
        ("5", "", &["not COCO's caption annotations", "line 1"]),
    ] {
        let e = coco(images, annotations).unwrap_err();
        assert!(
            e.contains("captions_train2017.json") && words.iter().all(|w| e.contains(w)),
            "{e} {words:?}"
        );
    }
}

#[test]
fn attngans_pictures_are_of_any_type() {
    let names = |names: &[&str]| {
        let items: String = names.iter().map(|name| format!("V{name}\na")).collect();
        format!("(lp0\n{items}.")
    };
    let root =
        folder(&["images/A/1.png", "images/A/2.webp", "images/A/2.jpg", "images/A/3.JPEG", "images/A/9.gif"]);
    put(root.path(), "train/filenames.pickle", names(&["A/1", "A/2"]));
    put(root.path(), "test/filenames.pickle", names(&["A/3", "A/4"]));
    for i in 1..5 {
        put(root.path(), &format!("text/A/{i}.txt"), format!("\u{feff}picture {i}\n"));
    }
    let (records, notes) = read(root.path()).unwrap();
    assert_eq!(records, ["A/1: picture 1", "A/2: picture 2", "A/3: picture 3"]);
    for note in [
        "1 record has no image, first A/4",
        "images are looked for in images/",
        ".webp",
        "1 picture is not in the list, first images/A/9.gif",
        "1 picture is the second of its key, first images/A/2.webp",
    ] {
        assert!(notes.contains(note), "{note}\n{notes}");
    }
}

#[test]
fn what_lies_beside_a_list_is_counted() {
    let folder = folder(&["a.png", "train/b.png"]);
    let lines = |name: &str| format!("{{\"file_name\": \"{name}\", \"text\": \"red\"}}\n");
    put(folder.path(), "metadata.jsonl", lines("a.png") + &lines("train/b.png"));
    put(folder.path(), "train/metadata.jsonl", lines("b.png"));
    put(folder.path(), "metadata.csv", "file_name,text\na.png,blue\n");
    put(folder.path(), "a.txt", "a caption that is not read");
    put(folder.path(), "notes.md", "# Notes");
    put(folder.path(), "a.json", "{}");
    let (records, notes) = read(folder.path()).unwrap();
    assert_eq!(records, ["a: red", "train/b: red"]);
    assert_eq!(
        notes,
        "1 text file lies beside a list of captions, first a.txt: left out\n\
         2 lists lie beside one that is read, first metadata.csv: left out\n\
         2 files are neither pictures nor captions, first a.json: left out"
    );
}

#[test]
fn a_list_that_is_not_where_lists_are_read_is_named() {
    for (name, words) in [
        ("images/metadata.jsonl", "give the folder that it is in"),
        ("metadata.json", "call it metadata.jsonl"),
    ] {
        let folder = folder(&["images/a.png", "images/b.png"]);
        put(folder.path(), name, r#"[{"file_name": "a.png", "text": "red"}]"#);
        let e = read(folder.path()).unwrap_err();
        assert!(e.contains(name) && e.contains(words), "{e}");
    }
}
