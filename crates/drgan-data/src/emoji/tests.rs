//! Packing small packages, and what the embedded set promises.
use super::color::COLORS;
use super::*;
use crate::{COLOR_TAG, Dataset, Split};
use std::path::PathBuf;

fn webp(rgb: [u8; 3]) -> Vec<u8> {
    let image = image::RgbaImage::from_fn(16, 16, |x, y| {
        let inside = (4..12).contains(&x) && (4..12).contains(&y);
        image::Rgba([rgb[0], rgb[1], rgb[2], if inside { 255 } else { 0 }])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
    bytes.into_inner()
}

/// Packages with an apple, a red heart, a keycap, a flag, a skin tone and an emoji without an image.
fn packages(root: &Path) -> (PathBuf, PathBuf) {
    let (fluent, base) = (root.join("fluent"), root.join("base"));
    for folder in [fluent.join("package/assets"), base.join("en"), base.join("meta")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for name in ["2764-fe0f", "1f34f", "0031-20e3", "1f1eb-1f1f7", "270b-1f3fb", "1f600"] {
        let rgb = if name == "1f34f" { [89, 200, 147] } else { [212, 66, 95] };
        std::fs::write(fluent.join(format!("package/assets/{name}.webp")), webp(rgb)).unwrap();
    }
    let data = r#"[
        {"label": "red heart", "hexcode": "2764", "tags": ["love", "heart"], "group": 0, "subgroup": 14},
        {"label": "round apple", "hexcode": "1F34F", "tags": ["fruit"], "group": 4, "subgroup": 42},
        {"label": "keycap: 1", "hexcode": "0031-FE0F-20E3", "group": 8, "subgroup": 94},
        {"label": "flag: France", "hexcode": "1F1EB-1F1F7", "group": 9, "subgroup": 98},
        {"label": "regional indicator A", "hexcode": "1F600"},
        {"label": "raised hand", "hexcode": "270B", "group": 1, "subgroup": 16,
         "skins": [{"label": "raised hand: light skin tone", "hexcode": "270B-1F3FB"}]}]"#;
    std::fs::write(base.join("en/data.json"), data).unwrap();
    let groups = r#"{"groups": {"0": "smileys-emotion", "4": "food-drink"},
        "subgroups": {"14": "heart", "42": "food-fruit", "94": "keycap", "98": "country-flag"}}"#;
    std::fs::write(base.join("meta/groups.json"), groups).unwrap();
    (fluent, base)
}

/// The folder as npm packs it.
fn tgz(folder: &Path, out: &Path) {
    let gz = flate2::write::GzEncoder::new(std::fs::File::create(out).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    let inner = folder.join("package");
    builder.append_dir_all("package", if inner.is_dir() { inner } else { folder.to_owned() }).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
}

#[test]
fn packing_leaves_out_what_it_should_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let (fluent, base) = packages(folder.path());
    let out = folder.path().join("out.tar");
    let report = pack(&fluent, &base, &out).unwrap();
    assert_eq!((report.records, &report.missing[..]), (2, &["raised hand".to_owned()][..]));
    assert_eq!(report.bytes, std::fs::metadata(&out).unwrap().len());
    let data = Dataset::open(&out).unwrap();
    let keys: Vec<&str> = data.records().iter().map(|r| &*r.key).collect();
    assert_eq!(keys, ["1f34f", "2764"]);
    let (apple, heart) = (&data.records()[0], &data.records()[1]);
    assert!(heart.has_tag(COLOR_TAG) && !apple.has_tag(COLOR_TAG));
    assert!(apple.has_tag("fruit"), "{:?}", apple.tags);
    assert_eq!(heart.captions[0], "red heart");
    assert!(apple.captions.iter().any(|c| c.contains("green")), "{:?}", apple.captions);
    assert_eq!(report.captions, apple.captions.len() + heart.captions.len());
    assert_eq!(data.find_caption("A red heart"), Some(1));
    assert_eq!(data.find_caption("round apple"), Some(0), "by caption or label");
    let middle = data.load_image(1, 16).unwrap().rgb[(8 * 16 + 8) * 3..][..3].to_vec();
    assert_eq!(middle, [212, 66, 95]);

    let (a, b, again) =
        (folder.path().join("f.tgz"), folder.path().join("b.tgz"), folder.path().join("again.tar"));
    tgz(&fluent, &a);
    tgz(&base, &b);
    assert_eq!(pack(&a, &b, &again).unwrap(), report);
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&again).unwrap(), "the same bytes from .tgz");
}

#[test]
fn wrong_packages_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (fluent, base) = packages(folder.path());
    let out = folder.path().join("out.tar");
    let text = |a: &Path, b: &Path| pack(a, b, &out).unwrap_err().to_string();
    assert!(text(&base, &base).contains("@lobehub/fluent-emoji-3d"));
    assert!(text(&fluent, &fluent).contains("emojibase-data"));
    assert!(text(Path::new("none.tgz"), &base).contains("none.tgz"));
    std::fs::write(fluent.join("package/assets/1f34f.webp"), b"no").unwrap();
    assert!(text(&fluent, &base).contains("1f34f.webp"));
}

#[test]
fn the_embedded_set_is_whole() {
    let data = Dataset::embedded().unwrap();
    assert_eq!(data.records().len(), 1586);
    for r in data.records() {
        let unique: std::collections::BTreeSet<_> = r.captions.iter().collect();
        assert!((4..=8).contains(&unique.len()) && unique.len() == r.captions.len(), "{:?}", r.captions);
        assert!(r.captions.iter().all(|c| *c == c.to_lowercase()), "{:?}", r.captions);
    }
    let mut probes: Vec<usize> = Vec::new();
    // What docs/data.md promises, and what attribute accuracy is measured on.
    let shapes = |color| ["circle", "square", "heart"].map(|shape| (color, shape));
    for (color, shape) in COLORS.iter().flat_map(|(color, _)| shapes(*color)) {
        let caption = format!("{} {color} {shape}", if color == "orange" { "an" } else { "a" });
        let at = data.find_caption(&caption).unwrap_or_else(|| panic!("{caption}"));
        let record = &data.records()[at];
        let bare = caption.split_once(' ').unwrap().1.to_owned();
        assert!(
            record.captions.contains(&caption) && record.captions.contains(&bare),
            "{caption}: {record:?}"
        );
        assert!(record.has_tag(COLOR_TAG), "{caption}");
        let holders = data.records().iter().filter(|r| r.captions.contains(&caption)).count();
        assert_eq!(holders, 1, "{caption}");
        probes.push(at);
    }
    probes.sort_unstable();
    probes.dedup();
    assert_eq!(probes.len(), 27);
    let held = data.split(Split::HeldOut).len();
    assert!((130..190).contains(&held), "about a tenth is held out: {held}");
}

#[test]
fn every_embedded_image_decodes() {
    let data = Dataset::embedded().unwrap();
    let loaded = data.load_part(&data.split(Split::All), 64).unwrap();
    assert_eq!((loaded.images.len(), &loaded.skipped[..]), (1586, &[][..]));
}

#[test]
fn anchors_are_the_circles_means() {
    let circles = ["1f534", "1f7e0", "1f7e1", "1f7e2", "1f535", "1f7e3", "1f7e4", "26ab", "26aa"];
    let tar = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fluent-emoji.tar");
    assert!(std::fs::metadata(&tar).unwrap().len() <= MOST_BYTES);
    let mut archive = tar::Archive::new(std::fs::File::open(tar).unwrap());
    let mut seen = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let Some(i) = circles.iter().position(|c| name == format!("{c}.webp")) else { continue };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        let rgba = crate::image::rgba(&bytes).unwrap();
        assert_eq!((COLORS[i].0, color::mean_foreground(&rgba)), COLORS[i]);
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn colors_of_plain_images() {
    let of = |rgb: [u8; 3], alpha| {
        color::dominant(&image::RgbaImage::from_pixel(2, 2, image::Rgba([rgb[0], rgb[1], rgb[2], alpha])))
    };
    for (name, rgb) in COLORS {
        assert_eq!(of(rgb, 255), Some(name));
    }
    assert_eq!(of([255, 255, 255], 255), Some("white"));
    assert_eq!(of([250, 150, 175], 255), None, "pink has no word");
    assert_eq!(of([200, 0, 0], 0), None, "nothing there");
    let white = color::lab([255, 255, 255]);
    assert!((white[0] - 100.).abs() < 1e-3 && white[1].abs() < 1e-2 && white[2].abs() < 1e-2, "{white:?}");
    let red = color::lab([255, 0, 0]);
    assert!(
        (red[0] - 53.24).abs() < 0.02 && (red[1] - 80.09).abs() < 0.02 && (red[2] - 67.20).abs() < 0.02,
        "{red:?}"
    );
    assert_eq!(color::named("a light blue heart"), Some("blue"));
    assert_eq!(color::named("bored greenhouse"), None);
}
