//! Tars and folders: what is read, and what is refused by which words.
use crate::test_sets::{entries, open_tar, png, tar_of};
use crate::{DataError, Dataset};
use std::path::Path;
use tempfile::TempDir;

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
    message(open_tar(&tar_of(&[])), &["0 images", "at least two"]);
}

#[test]
fn captions_must_be_there_and_utf8() {
    for (bytes, word) in [(&b" \n\n"[..], "empty"), (b"\xff", "not UTF-8")] {
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
    message(open_tar(&tar_of(&entries(1))), &["1 image", "at least two"]);
}

#[test]
fn captions_of_utf16_need_their_mark_and_lines_end_as_any_system_ends_them() {
    let captions = |bytes: &[u8]| {
        let mut all = entries(3);
        all[4].1 = bytes.to_vec();
        open_tar(&tar_of(&all)).map(|data| data.records()[1].captions.clone())
    };
    let text = "p\u{ea}che\r\n\r\u{442}\u{438}\u{442} \u{1f426}\rred";
    let lines = ["p\u{ea}che", "\u{442}\u{438}\u{442} \u{1f426}", "red"];
    let units = || std::iter::once(0xfeff).chain(text.encode_utf16());
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    let marked = format!("\u{feff}{text}");
    for bytes in [text.as_bytes(), marked.as_bytes(), &little, &big] {
        assert_eq!(captions(bytes).unwrap(), lines);
    }
    let refused = |bytes: &[u8], said: &str| {
        let e = captions(bytes).unwrap_err().to_string();
        assert!(e.contains("k001.txt") && e.contains(said), "{e}");
    };
    let without = "UTF-16 without a byte order mark";
    for text in ["a red bird", "\u{43a}\u{440}\u{430}\u{441} \u{442}", "\u{43a}\u{440}\u{430}\u{441}"] {
        refused(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), without);
        refused(&text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>(), without);
    }
    refused(&little[..little.len() - 1], "it is not UTF-16");
    refused(b"\xff\xfe\x00\xd8", "it is not UTF-16");
    refused(b"\xff\xfe\0\0a\0\0\0", "it is UTF-32");
    refused(b"\0\0\xfe\xff\0\0\0a", "it is UTF-32");
    refused(b"\xff\xfe", "empty");
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
                {\"file_name\": \"b.png\", \"text\": \"one\", \"extra\": 1, \"tags\": [\"rare\"]}\n";
    let data = metadata(good).unwrap();
    assert_eq!(data.records()[0].captions, ["one"]);
    assert!(data.records()[0].has_tag("rare") && data.records()[1].tags.is_empty());
    assert_eq!((data.records()[1].captions.len(), data.records()[1].class_id), (2, Some(4)));
    message(metadata("{\"file_name\": \"c.png\", \"text\": \"x\"}"), &["line 1", "c.png"]);
    message(metadata("{\"file_name\": \"b.png\"}"), &["line 1", "text"]);
    message(metadata("{\"file_name\": \"b.png\", \"text\": \" \"}"), &["b.png", "empty"]);
}

#[test]
fn a_tar_reads_the_same_from_a_file_and_from_memory() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("set.tar");
    let bytes = tar_of(&entries(5));
    std::fs::write(&path, &bytes).unwrap();
    let (file, memory) = (Dataset::open(&path).unwrap(), open_tar(&bytes).unwrap());
    assert_eq!(file.records(), memory.records());
    for i in 0..5 {
        assert_eq!(file.load_image(i, 8).unwrap(), memory.load_image(i, 8).unwrap());
    }
}

#[test]
fn tags_are_the_descriptions_and_the_color_of_a_label() {
    let json = [
        r#"{"tags": ["rare", "night"]}"#,
        r#"{"tags": ["color", "rare"], "names_colour": true}"#,
        r#"{"tags": ["color", "bright"]}"#,
        r#"{"tags": "of another program"}"#,
        "{}",
    ];
    let mut all = entries(5);
    for (i, json) in json.iter().enumerate() {
        all[3 * i + 2].1 = json.as_bytes().to_vec();
    }
    let data = open_tar(&tar_of(&all)).unwrap();
    let tags: Vec<_> = data.records().iter().map(|r| r.tags.join(" ")).collect();
    assert_eq!(tags, ["rare night", "rare color", "bright", "", ""]);
    let colors: Vec<_> = data.records().iter().map(|r| r.has_tag(crate::COLOR_TAG)).collect();
    assert_eq!(colors, [false, true, false, false, false], "names_colour alone decides");
}
