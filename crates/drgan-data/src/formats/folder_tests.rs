//! Folders as they come: links, pipes, hidden files, names that are no UTF-8, pictures that a list leaves out.
use crate::Dataset;
use crate::test_sets::png;
use std::path::Path;

/// Pictures with captions: `NAME.png`, `NAME.txt`.
fn put(root: &Path, names: &[&str]) {
    for (i, name) in names.iter().enumerate() {
        let path = root.join(format!("{name}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, png(8, [i as u8, 7, 7], 0)).unwrap();
        std::fs::write(root.join(format!("{name}.txt")), format!("thing {i}")).unwrap();
    }
}

fn keys(data: &Dataset) -> Vec<&str> {
    data.records().iter().map(|r| &*r.key).collect()
}

#[test]
fn hidden_files_other_files_and_second_pictures_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["a", "b", "sub/v1.00", "sub/v1.01"]);
    for name in [
        "._a.png",
        ".ipynb_checkpoints/a-checkpoint.png",
        "__MACOSX/a.png",
        "README.md",
        "c.heic",
        "alone.txt",
    ] {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "...").unwrap();
    }
    std::fs::copy(dir.path().join("b.png"), dir.path().join("b.webp")).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!(keys(&data), ["a", "b", "sub/v1.00", "sub/v1.01"]);
    assert_eq!(
        data.notes(),
        [
            "1 caption or description has no picture, first alone.txt: left out",
            "1 picture is the second of its key, first b.webp: left out",
            "1 picture is of a type that is not read, first c.heic: left out",
            "1 file is neither a picture nor captions, first README.md: left out",
            "3 files or folders are hidden, first ._a.png: left out",
        ]
    );
}

#[test]
fn pictures_that_the_list_does_not_name_are_counted_and_names_stay_inside() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    put(&root, &["a", "b", "c", "sub/d"]);
    put(dir.path(), &["outside"]);
    let open = |third: &str| {
        let line = |name: &str| format!("{{\"file_name\": \"{name}\", \"text\": \"a thing\"}}\n");
        let lines = [line("a.png"), line("./b.png"), line(third)].concat();
        std::fs::write(root.join("metadata.jsonl"), lines).unwrap();
        Dataset::open(&root)
    };
    let notes = open("sub/../sub/d.png").unwrap().notes();
    assert_eq!(
        notes,
        [
            "1 picture is not in the list, first c.png: left out",
            "4 text files lie beside a list of captions, first a.txt: left out"
        ]
    );
    let absolute = dir.path().join("outside.png").display().to_string();
    for name in ["../outside.png", "sub/../../outside.png", &absolute] {
        let error = open(name).unwrap_err().to_string();
        assert!(error.contains("leads out of the set") && error.contains("line 3"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn each_folder_is_read_once_and_only_files_inside_are_opened() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    put(&root, &["a", "sub/b", "c"]);
    put(dir.path(), &["outside", "elsewhere/d"]);
    symlink(".", root.join("loop")).unwrap();
    symlink("sub", root.join("again")).unwrap();
    symlink("../elsewhere", root.join("leaves")).unwrap();
    symlink("../outside.png", root.join("o.png")).unwrap();
    symlink("a.png", root.join("l.png")).unwrap();
    std::fs::write(root.join("l.txt"), "a link inside").unwrap();
    symlink("none.png", root.join("n.png")).unwrap();
    symlink("y.png", root.join("x.png")).unwrap();
    symlink("x.png", root.join("y.png")).unwrap();
    symlink("/dev/zero", root.join("z.png")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("s.png")).unwrap();
    let data = Dataset::open(&root).unwrap();
    assert_eq!(keys(&data), ["a", "c", "l", "sub/b"]);
    assert_eq!(
        data.notes(),
        [
            "2 names are pipes, sockets or devices, first s.png: left out",
            "3 links lead nowhere, first n.png: left out",
            "2 links or paths lead out of the set, first leaves: left out",
            "2 folders were read by another path already, first again: left out",
        ]
    );
    assert_eq!(data.duplicates(), ["1 picture has the bytes of another one, first l.png: kept"]);
}

#[cfg(unix)]
#[test]
fn pipes_are_never_opened() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["a", "b"]);
    let pipe = |name: &str| {
        let made = std::process::Command::new("mkfifo").arg(dir.path().join(name)).status();
        made.is_ok_and(|status| status.success())
    };
    if !pipe("p.png") {
        return;
    }
    assert!(pipe("q.txt") && pipe("metadata.jsonl"));
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!(data.notes(), ["3 names are pipes, sockets or devices, first metadata.jsonl: left out"]);
    std::fs::remove_file(dir.path().join("a.png")).unwrap();
    assert!(pipe("a.png"));
    let error = data.load_image(0, 8).unwrap_err().to_string();
    assert!(error.contains("a.png") && error.contains("not a regular file"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_are_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    for (i, byte) in [0xe8, 0xe9].into_iter().enumerate() {
        let name =
            |end: &str| dir.path().join(OsStr::from_bytes(&[b"caf", &[byte][..], end.as_bytes()].concat()));
        std::fs::write(name(".png"), png(8, [i as u8, 7, 7], 0)).unwrap();
        std::fs::write(name(".txt"), format!("thing {byte:x}")).unwrap();
    }
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!(keys(&data), ["caf\\xe8", "caf\\xe9"]);
    assert_eq!(data.records()[1].captions, ["thing e9"]);
}

#[test]
fn large_texts_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["a", "b"]);
    std::fs::write(dir.path().join("b.txt"), vec![b'x'; 2 << 20]).unwrap();
    let error = Dataset::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("b.txt") && error.contains("larger than 1 MiB"), "{error}");
}

#[test]
fn deep_folders_are_walked() {
    let dir = tempfile::tempdir().unwrap();
    let deep = "d/".repeat(300);
    put(dir.path(), &["a", &format!("{deep}b")]);
    assert_eq!(Dataset::open(dir.path()).unwrap().records().len(), 2);
}

#[test]
fn a_list_of_more_than_the_limit_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["a", "b"]);
    // A file with a gap takes no room.
    std::fs::File::create(dir.path().join("metadata.jsonl")).unwrap().set_len(1 << 40).unwrap();
    let error = Dataset::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("metadata.jsonl") && error.contains("larger than 512 MiB"), "{error}");
}

#[test]
fn a_picture_that_cannot_be_read_is_left_out_as_one_that_does_not_decode() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["a", "b", "c"]);
    let data = Dataset::open(dir.path()).unwrap();
    std::fs::remove_file(dir.path().join("b.png")).unwrap();
    let loaded = data.load_part(&[0, 1, 2], 8).unwrap();
    assert_eq!((loaded.indices, loaded.skipped), (vec![0, 2], vec!["b.png".to_owned()]));
    let error = data.load_image(1, 8).unwrap_err().to_string();
    assert!(error.contains("b.png") && error.contains("No such file"), "{error}");
}
