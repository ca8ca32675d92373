//! Tars as they come: names, links, joined and compressed archives, and headers that lie.
use crate::test_sets::{entries, open_tar, png, tar_of};
use crate::{DataError, Dataset};
use std::io::Write;
use tar::{Builder, EntryType, Header};

/// Three samples `k000`..`k002`, and then what `add` appends.
fn with(add: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in entries(3) {
        append(&mut builder, &name, &bytes);
    }
    add(&mut builder);
    builder.into_inner().unwrap()
}

fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size as u64);
    header
}

fn append(builder: &mut Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    builder.append_data(&mut header(EntryType::Regular, bytes.len()), name, bytes).unwrap();
}

/// An entry whose name is these bytes, as they are.
fn raw(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &[u8], link: &[u8], bytes: &[u8]) {
    let mut header = header(kind, bytes.len());
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}

fn keys(data: &Dataset) -> Vec<&str> {
    data.records().iter().map(|r| &*r.key).collect()
}

fn picture(n: u8) -> Vec<u8> {
    png(8, [n, 7, 7], 0)
}

fn caption(data: &Dataset, key: &str) -> String {
    data.records().iter().find(|r| r.key == key).unwrap().captions.join("|")
}

#[test]
fn dotted_names_pair_and_parts_of_a_sample_are_no_pictures_of_it() {
    let bytes = with(|tar| {
        append(tar, "v1.00.png", &picture(1));
        append(tar, "v1.00.txt", b"first");
        append(tar, "v1.01.JPG", &picture(2));
        append(tar, "v1.01.TXT", b"second");
        append(tar, "k000.seg.png", &picture(3));
        append(tar, "n.depth.png", &picture(4));
        append(tar, "n.txt", b"no picture but a depth");
        append(tar, "k001.cls", b"4");
        append(tar, "k001.heic", b"...");
    });
    let data = open_tar(&bytes).unwrap();
    assert_eq!(keys(&data), ["k000", "k001", "k002", "v1.00", "v1.01"]);
    assert_eq!((caption(&data, "v1.00"), caption(&data, "v1.01")), ("first".into(), "second".into()));
    assert_eq!(
        data.notes(),
        [
            "1 caption or description has no picture, first n.txt: left out",
            "1 picture is the second of its key, first k000.seg.png: left out",
            "1 picture has a longer extension and no captions of that name, first n.depth.png: left out",
            "1 picture is of a type that is not read, first k001.heic: left out",
            "1 file is neither a picture nor captions, first k001.cls: left out",
        ]
    );
}

#[test]
fn links_stand_for_what_they_lead_to_inside_the_tar() {
    let bytes = with(|tar| {
        for (kind, name, target) in [
            (EntryType::Link, "q0.png", "k000.png"),
            (EntryType::Symlink, "sub/q1.png", "../k001.png"),
            (EntryType::Symlink, "q2.png", "q0.png"),
            (EntryType::Symlink, "q2.txt", "blob"),
            (EntryType::Symlink, "around.png", "circle.png"),
            (EntryType::Symlink, "circle.png", "around.png"),
            (EntryType::Symlink, "nowhere.png", "none.png"),
            (EntryType::Symlink, "out.png", "../k000.png"),
            (EntryType::Symlink, "absolute.png", "/etc/hostname"),
        ] {
            raw(tar, kind, name.as_bytes(), target.as_bytes(), b"");
        }
        append(tar, "q0.txt", b"hard");
        append(tar, "sub/q1.txt", b"soft");
        append(tar, "blob", b"of a link");
    });
    let data = open_tar(&bytes).unwrap();
    assert_eq!(keys(&data), ["k000", "k001", "k002", "q0", "q2", "sub/q1"]);
    assert_eq!(data.load_image(3, 8).unwrap(), data.load_image(0, 8).unwrap());
    assert_eq!(data.load_image(5, 8).unwrap(), data.load_image(1, 8).unwrap());
    assert_eq!(caption(&data, "q2"), "of a link");
    let notes = data.notes().join("\n");
    assert!(notes.contains("3 links lead nowhere, first around.png"), "{notes}");
    assert!(notes.contains("2 links or paths lead out of the set, first absolute.png"), "{notes}");
}

#[test]
fn names_are_bytes() {
    let bytes = with(|tar| {
        raw(tar, EntryType::Regular, b"caf\xe9.png", b"", &picture(1));
        raw(tar, EntryType::Regular, b"caf\xe9.txt", b"", b"the right one");
        raw(tar, EntryType::Regular, b"caf\xe8.png", b"", &picture(2));
        raw(tar, EntryType::Regular, b"caf\xe8.txt", b"", b"another");
        raw(tar, EntryType::Regular, b"a\n\x1b[2J.png", b"", &picture(3));
        raw(tar, EntryType::Regular, b"a\n\x1b[2J.txt", b"", b"escapes");
    });
    let data = open_tar(&bytes).unwrap();
    assert_eq!(keys(&data)[..3], ["a\\n\\u{1b}[2J", "caf\\xe8", "caf\\xe9"]);
    assert_eq!(caption(&data, "caf\\xe9"), "the right one");
    assert_eq!(caption(&data, "caf\\xe8"), "another");
    let alone = with(|tar| {
        raw(tar, EntryType::Regular, b"caf\xe9.png", b"", &picture(1));
        raw(tar, EntryType::Regular, b"caf\xe8.txt", b"", b"not its caption");
    });
    let error = open_tar(&alone).unwrap_err().to_string();
    assert!(error.contains("no caf\\xe9.txt"), "{error}");
}

#[test]
fn one_name_twice_and_two_pictures_of_one_key_are_counted() {
    let bytes = with(|tar| {
        raw(tar, EntryType::Regular, b"./k000.png", b"", &picture(200));
        append(tar, "k001.jpg", &picture(1));
    });
    let data = open_tar(&bytes).unwrap();
    assert_eq!(keys(&data), ["k000", "k001", "k002"]);
    assert_eq!(data.load_image(0, 8).unwrap().rgb[3], 200, "the later of two entries counts, as in tar");
    let notes = data.notes();
    assert_eq!(notes[0], "1 picture is the second of its key, first k001.png: left out");
    assert_eq!(notes[1], "1 name occurs again, first k000.png: the last counts");
}

#[test]
fn joined_tars_are_read_through_and_what_is_behind_the_end_is_told() {
    let mut bytes = with(|_| {});
    let more: Vec<_> = entries(3).into_iter().map(|(name, bytes)| (name.replace('k', "z"), bytes)).collect();
    bytes.extend(tar_of(&more));
    let data = open_tar(&bytes).unwrap();
    assert_eq!(keys(&data), ["k000", "k001", "k002", "z000", "z001", "z002"]);
    assert!(data.notes().is_empty(), "{:?}", data.notes());
    let end = bytes.len();
    bytes.extend([7; 700]);
    let notes = open_tar(&bytes).unwrap().notes().join("\n");
    assert!(notes.contains(&format!("at byte {end}")), "{notes}");
}

#[test]
fn contiguous_entries_are_read_and_sparse_ones_and_pipes_counted() {
    let name = "long/".repeat(40) + "name.png";
    let pax = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n");
        let length = (rest.len()..).find(|n| n.to_string().len() + rest.len() == *n).unwrap();
        format!("{length}{rest}")
    };
    let bytes = with(|tar| {
        raw(tar, EntryType::Continuous, b"c.png", b"", &picture(1));
        append(tar, "c.txt", b"contiguous");
        raw(tar, EntryType::GNUSparse, b"s.png", b"", &picture(2));
        append(tar, "s.txt", b"gaps");
        raw(tar, EntryType::Fifo, b"p.png", b"", b"");
        append(tar, &name, &picture(3));
        append(tar, &name.replace("png", "txt"), b"a long name");
        let records = pax("comment", "a\nb") + &pax("path", "pax\nname.png");
        raw(tar, EntryType::XHeader, b"x", b"", records.as_bytes());
        raw(tar, EntryType::Regular, b"other", b"", &picture(4));
        let records = pax("path", "pax\nname.txt");
        raw(tar, EntryType::XHeader, b"x", b"", records.as_bytes());
        raw(tar, EntryType::Regular, b"other", b"", b"by pax");
        let records = pax("GNU.sparse.major", "1") + &pax("GNU.sparse.name", "t.png");
        raw(tar, EntryType::XHeader, b"x", b"", records.as_bytes());
        raw(tar, EntryType::Regular, b"GNUSparseFile.0/t.png", b"", &picture(5));
    });
    let data = open_tar(&bytes).unwrap();
    let long = name.trim_end_matches(".png");
    assert_eq!(keys(&data), ["c", "k000", "k001", "k002", long, "pax\\nname"]);
    assert_eq!(caption(&data, "pax\\nname"), "by pax");
    assert!(data.load_image(0, 8).is_ok() && data.load_image(4, 8).is_ok());
    let notes = data.notes().join("\n");
    assert!(notes.contains("2 entries are stored with gaps, first s.png"), "{notes}");
    assert!(notes.contains("1 name is a pipe, socket or device, first p.png"), "{notes}");
}

#[test]
fn hidden_entries_are_passed_over() {
    let hidden = ["._k000.png", "__MACOSX/k000.png", "a/.ipynb_checkpoints/k000.png"];
    let bytes = with(|tar| hidden.iter().for_each(|name| append(tar, name, b"...")));
    let data = open_tar(&bytes).unwrap();
    assert_eq!(data.records().len(), 3);
    assert_eq!(data.notes(), ["3 files or folders are hidden, first ._k000.png: left out"]);
    let only: Vec<_> = hidden.iter().map(|name| ((*name).to_owned(), vec![])).collect();
    let error = open_tar(&tar_of(&only)).unwrap_err().to_string();
    assert!(error.contains("0 images") && error.contains("3 files or folders are hidden"), "{error}");
}

#[test]
fn headers_that_claim_too_much_are_refused_without_the_memory() {
    let refused = |bytes: &[u8], part: &str| {
        let error = open_tar(bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    for size in [1 << 60, u64::MAX - 511, 5000] {
        for kind in [EntryType::Regular, EntryType::GNULongName, EntryType::XHeader] {
            let mut builder = Builder::new(Vec::new());
            let mut header = header(kind, 0);
            header.set_path("huge.png").unwrap();
            header.set_size(size);
            header.set_cksum();
            builder.append(&header, &b"few"[..]).unwrap();
            refused(&builder.into_inner().unwrap(), "truncated after entry");
        }
    }
    let long = with(|tar| raw(tar, EntryType::GNULongName, b"././@LongLink", b"", &vec![b'a'; 2 << 20]));
    refused(&long, "a name of more than 1 MiB");
    let text = with(|tar| append(tar, "k003.txt", &vec![b'a'; 2 << 20]));
    refused(&text, "k003.txt");
    refused(&text, "larger than 1 MiB");
    let mut damaged = with(|_| {});
    damaged[3 * 1024 + 2] ^= 1;
    refused(&damaged, "no header after this entry");
}

#[test]
fn archives_are_told_by_their_first_bytes_and_gzip_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let plain = with(|_| {});
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    std::fs::write(&path, gzip(&plain)).unwrap();
    let (packed, whole) = (Dataset::open(&path).unwrap(), open_tar(&plain).unwrap());
    assert_eq!(packed.records(), whole.records());
    for i in 0..3 {
        assert_eq!(packed.load_image(i, 8).unwrap(), whole.load_image(i, 8).unwrap());
    }
    let error = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Dataset::open(&path).unwrap_err()
    };
    let packed = gzip(&plain);
    let said = error(&packed[..packed.len() / 2]).to_string();
    assert!(said.contains("damaged or cut off"), "{said}");
    let said = error(&gzip(&[b'x'; 4000])).to_string();
    assert!(said.contains("no tar inside"), "{said}");
    assert!(matches!(error(&picture(1)), DataError::Picture { .. }));
    assert!(matches!(error(b"GIF89a..........."), DataError::Picture { .. }));
    assert!(matches!(error(b"PK\x03\x04...."), DataError::Compressed { .. }));
    // A tar whose first name begins like another archive is a tar.
    let named = |name: &str| {
        let more = [(format!("{name}.png"), picture(1)), (format!("{name}.txt"), b"a".to_vec())];
        tar_of(&[&more[..], &entries(2)].concat())
    };
    for name in ["BMW/1", "BZhang", "GIF89a"] {
        std::fs::write(&path, named(name)).unwrap();
        assert_eq!(Dataset::open(&path).unwrap().records().len(), 3, "{name}");
    }
}

#[test]
fn a_tar_made_in_a_folder_divides_as_the_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut dotted = Builder::new(Vec::new());
    for (name, bytes) in entries(40) {
        std::fs::write(folder.path().join(&name), &bytes).unwrap();
        let name = if name.starts_with("k00") { name } else { format!(".//{name}") };
        raw(&mut dotted, EntryType::Regular, name.as_bytes(), b"", &bytes);
    }
    let of_folder = Dataset::open(folder.path()).unwrap();
    let of_tar = open_tar(&dotted.into_inner().unwrap()).unwrap();
    let divided = |data: &Dataset| {
        let part = |record: &crate::Record| (record.key.clone(), crate::Split::Train.holds(record));
        data.records().iter().map(part).collect::<Vec<_>>()
    };
    assert_eq!(divided(&of_tar), divided(&of_folder));
    // As runs that were begun by an earlier recipe divide it.
    let mut written = of_tar.clone();
    written.key_by_written_names();
    assert_eq!(keys(&written)[..2], [".//k010", ".//k011"]);
    assert_eq!(keys(&written)[30..32], ["k000", "k001"]);
    assert_ne!(
        divided(&written).iter().map(|(_, train)| *train).collect::<Vec<_>>(),
        divided(&of_tar).iter().map(|(_, train)| *train).collect::<Vec<_>>()
    );
    assert_eq!(caption(&written, ".//k010"), caption(&of_tar, "k010"));
    let at = |data: &Dataset, key: &str| data.records().iter().position(|r| r.key == key).unwrap();
    let image = |data: &Dataset, key: &str| data.load_image(at(data, key), 8).unwrap().rgb;
    assert_eq!(image(&written, ".//k017"), image(&of_tar, "k017"));
    let mut same = of_folder.clone();
    same.key_by_written_names();
    assert_eq!(divided(&same), divided(&of_folder));
}

#[test]
fn a_list_in_a_tar_is_said_to_be_none_that_is_read() {
    let mut builder = Builder::new(Vec::new());
    append(&mut builder, "set/a.png", &picture(1));
    append(&mut builder, "set/metadata.jsonl", b"{\"file_name\": \"a.png\", \"text\": \"red\"}");
    let e = open_tar(&builder.into_inner().unwrap()).unwrap_err().to_string();
    assert!(e.contains("`set/metadata.jsonl`") && e.contains("unpack the tar"), "{e}");
}
