//! Known colors in every format, pictures cut at every byte, orientation, bounds. The fixtures are 32 x 32 pixels: red, green
//! above blue, yellow.
use super::*;
use crate::image::{Image, load};

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const YELLOW: [u8; 3] = [255, 255, 0];
const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [255; 3];
const UPRIGHT: [[u8; 3]; 4] = [RED, GREEN, BLUE, YELLOW];

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures");
    std::fs::read(std::path::Path::new(folder).join(name)).unwrap()
}

fn fixtures() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures");
    let mut all: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    all.sort();
    all
}

fn read(bytes: &[u8]) -> Result<(Image, Vec<Reason>), String> {
    load(bytes, 32, None, &Budget::default()).map_err(|e| e.to_string())
}

/// The colors in the middles of the quarters, rows from the top.
fn quarters(image: &Image) -> [[u8; 3]; 4] {
    [(8, 8), (24, 8), (8, 24), (24, 24)].map(|(x, y)| {
        let at = (y * image.side + x) * 3;
        [image.rgb[at], image.rgb[at + 1], image.rgb[at + 2]]
    })
}

fn assert_colors(what: &str, image: &Image, want: [[u8; 3]; 4], off: u8) {
    let got = quarters(image);
    let near = got.iter().flatten().zip(want.iter().flatten()).all(|(a, b)| a.abs_diff(*b) <= off);
    assert!(near, "{what}: {got:?}, not {want:?}");
}

#[test]
fn every_kind_of_picture_has_its_colors() {
    for name in fixtures() {
        let want = match name.as_str() {
            "turned.jpg" | "turned.png" | "turned.webp" | "turned.tiff" => [BLUE, RED, YELLOW, GREEN],
            "gray.jpg" => [[76; 3], [150; 3], [29; 3], [226; 3]],
            "gray-alpha.png" => [WHITE, BLACK, BLACK, BLACK],
            "one-bit.png" => [WHITE, BLACK, BLACK, BLACK],
            "palette-transparent.png" => [WHITE, GREEN, BLUE, YELLOW],
            _ => UPRIGHT,
        };
        let (image, odd) = read(&fixture(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let lossy = name.ends_with(".jpg") || name == "lossy.webp";
        assert_colors(&name, &image, want, if lossy { 12 } else { 0 });
        let frames: &[Reason] = if name.starts_with("animated") { &[Reason::SeveralFrames] } else { &[] };
        assert_eq!(odd, frames, "{name}");
    }
}

#[test]
fn pictures_are_turned_upright_by_all_eight_orientations() {
    let [a, b, c, d] = UPRIGHT;
    let turned = [
        [a, b, c, d],
        [b, a, d, c],
        [d, c, b, a],
        [c, d, a, b],
        [a, c, b, d],
        [c, a, d, b],
        [d, b, c, a],
        [b, d, a, c],
    ];
    for name in ["turned.jpg", "turned.webp", "turned.tiff"] {
        let bytes = fixture(name);
        // Tag 0x112, type SHORT, count 1.
        let (tag, big) = match bytes.windows(8).position(|w| w == [0x12, 1, 3, 0, 1, 0, 0, 0]) {
            Some(at) => (at, false),
            None => (bytes.windows(8).position(|w| w == [1, 0x12, 0, 3, 0, 0, 0, 1]).unwrap(), true),
        };
        for (value, want) in (1..).zip(turned) {
            let mut bytes = bytes.clone();
            bytes[tag + 8 + usize::from(big)] = value;
            assert_colors(&format!("{name} {value}"), &read(&bytes).unwrap().0, want, 12);
        }
    }
}

#[test]
fn a_box_lies_in_the_upright_picture() {
    let right = crate::record::BoundingBox { x: 20., y: 4., width: 8., height: 8. };
    let bytes = fixture("turned.png");
    let (image, _) = load(&bytes, 4, Some(right), &Budget::default()).unwrap();
    assert_eq!(image.rgb, RED.repeat(16), "the quarter at the top right is red once upright");
}

/// Bytes at the end of each fixture that pixels do not depend on: marks, and chunks behind the pixels.
fn dispensable(name: &str) -> usize {
    match name.rsplit_once('.').unwrap().1 {
        "jpg" => 2,
        "png" => 16,
        "gif" => 2,
        _ => 0,
    }
}

#[test]
fn a_picture_cut_at_any_byte_is_refused_or_lacks_its_end_mark() {
    for name in fixtures().iter().filter(|name| !name.starts_with("animated") && *name != "palette.tiff") {
        let bytes = fixture(name);
        let (whole, _) = read(&bytes).unwrap();
        let mut accepted = 0;
        for end in (0..bytes.len()).rev() {
            let Ok((image, odd)) = read(&bytes[..end]) else { continue };
            accepted += 1;
            assert!(image == whole, "{name}: {end} of {} bytes", bytes.len());
            let rest = bytes.len() - end;
            let marked = matches!(name.rsplit_once('.').unwrap().1, "jpg" | "png" | "gif");
            assert!(!marked || odd == [Reason::NoEndMark], "{name}: {end}: {odd:?}");
            assert!(rest <= dispensable(name) || !marked, "{name}: {end} of {}", bytes.len());
        }
        let mark = match dispensable(name) {
            0 => 0,
            _ if name.ends_with(".png") => outline::PNG_END.len(),
            _ => 1,
        };
        assert!(accepted >= mark, "{name}: without its end mark, or with a part of it, it is read");
    }
}

#[test]
fn a_truncated_jpeg_is_refused_though_an_end_mark_follows() {
    for name in fixtures().iter().filter(|name| name.ends_with(".jpg")) {
        let bytes = fixture(name);
        let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        for end in scan + 16..bytes.len() - 8 {
            let cut = [&bytes[..end], &[0xff, 0xd9]].concat();
            if let Ok((image, _)) = read(&cut) {
                // Scans of a progressive picture that are whole make a coarser one.
                assert!(name.starts_with("progressive"), "{name}: {end} of {}", bytes.len());
                assert_colors(name, &image, UPRIGHT, 90);
            }
        }
    }
}

#[test]
fn restart_markers_that_are_lost_are_noticed() {
    let bytes = fixture("restart.jpg");
    let marker = bytes.windows(2).position(|pair| pair == [0xff, 0xd1]).unwrap();
    let next = bytes.windows(2).position(|pair| pair == [0xff, 0xd2]).unwrap();
    let e = read(&[&bytes[..marker], &bytes[next..]].concat()).unwrap_err();
    assert!(e.contains("truncated"), "{e}");
}

#[test]
fn mutated_pictures_are_read_or_refused() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    for name in fixtures() {
        let bytes = fixture(&name);
        for _ in 0..200 {
            let mut bytes = bytes.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            drop(read(&bytes));
        }
    }
}

#[test]
fn pictures_out_of_bounds_are_refused_by_their_header_and_the_limit_named() {
    let with = |name: &str, patches: &[(usize, &[u8])]| {
        let mut bytes = fixture(name);
        for (at, patch) in patches {
            bytes[*at..at + patch.len()].copy_from_slice(patch);
        }
        read(&bytes).unwrap_err()
    };
    let gif = with("plain.gif", &[(6, &[0xff; 4])]);
    assert_eq!(gif, "65535 x 65535 pixels, and at most 67108864 are decoded; make it smaller");
    let bmp = with("plain.bmp", &[(18, &20_000_u32.to_le_bytes()), (22, &20_000_u32.to_le_bytes())]);
    assert!(bmp.contains("20000 x 20000 pixels, and at most 67108864"), "{bmp}");
    let none = with("plain.gif", &[(6, &[0; 4])]);
    assert!(none.contains("no pixels"), "{none}");
    let frame = fixture("baseline.jpg").windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let jpeg = with("baseline.jpg", &[(frame + 5, &[0xff; 4])]);
    assert!(jpeg.contains("65535 x 65535"), "{jpeg}");
    let memory = needed(ImageFormat::Png, (8192, 8192), 8 << 26, 0);
    assert!(memory > BYTES, "16 bits for each of four channels are too many");
    assert!(needed(ImageFormat::Png, (8192, 8192), 3 << 26, 0) < BYTES);
}

#[test]
fn a_color_profile_is_not_unpacked_and_the_colors_stay() {
    let plain = fixture("plain.png");
    // Of a profile only the name is well formed: whoever unpacks it fails, or takes what it says for its size.
    let profile = b"\0\0\0\x09iCCPname\0\0\x78\xda\0....";
    let with = [&plain[..33], profile.as_slice(), profile.as_slice(), &plain[33..]].concat();
    let (first, second) = (33..33 + profile.len(), 33 + profile.len()..33 + 2 * profile.len());
    assert_eq!(outline::png(&with).profiles, [first.clone(), second.clone()]);
    assert_eq!(without(&with, &[first, second]), plain);
    let (image, odd) = read(&with).unwrap();
    assert_colors("with a profile", &image, UPRIGHT, 0);
    assert!(odd.is_empty());
}
