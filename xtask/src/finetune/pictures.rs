//! Pictures that the pretrained model has never seen: shapes in patterns, drawn here, with captions.
use crate::random::SplitMix64;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// Side of a picture in pixels.
const SIDE: i32 = 64;
const WHITE: [u8; 3] = [255; 3];

const COLORS: [(&str, [u8; 3]); 8] = [
    ("red", [222, 40, 48]),
    ("orange", [240, 130, 30]),
    ("yellow", [245, 205, 40]),
    ("green", [60, 165, 70]),
    ("blue", [50, 100, 220]),
    ("purple", [140, 70, 190]),
    ("brown", [130, 85, 50]),
    ("black", [40, 40, 44]),
];
const PATTERNS: [&str; 4] = ["plain", "striped", "dotted", "checkered"];
const SHAPES: [&str; 5] = ["circle", "square", "triangle", "ring", "cross"];

/// A picture's caption and its pixels, row by row from the top.
struct Picture {
    caption: String,
    pixels: Vec<[u8; 3]>,
}

/// Writes `train` pictures to learn from and `held_out` others, as a folder with the parts `train` and `test`.
pub(super) fn write(folder: &Path, train: usize, held_out: usize) -> Result<()> {
    let mut numbers = SplitMix64(0);
    let mut all: Vec<(u64, Picture)> = Vec::new();
    for (color, rgb) in COLORS {
        for pattern in PATTERNS {
            for shape in SHAPES {
                all.push((numbers.next(), draw(color, rgb, pattern, shape, &mut numbers)));
            }
        }
    }
    // Which combinations are held out is decided by no color, pattern or shape.
    all.sort_by_key(|(order, _)| *order);
    let (of_train, rest) = all.split_at(train.min(all.len()));
    for (part, pictures) in [("train", of_train), ("test", &rest[..held_out.min(rest.len())])] {
        let folder = folder.join(part);
        fs::create_dir_all(&folder)?;
        let mut list = String::new();
        for (i, (_, picture)) in pictures.iter().enumerate() {
            let name = format!("{i:03}.bmp");
            fs::write(folder.join(&name), bmp(&picture.pixels))?;
            list += &format!("{}\n", serde_json::json!({ "file_name": name, "text": picture.caption }));
        }
        fs::write(folder.join("metadata.jsonl"), list)?;
    }
    Ok(())
}

/// A shape of one color in a pattern, somewhere near the middle of a white square.
fn draw(color: &str, rgb: [u8; 3], pattern: &str, shape: &str, numbers: &mut SplitMix64) -> Picture {
    let mut within = |from: i32, to: i32| from + (numbers.next() % (to - from + 1) as u64) as i32;
    let (cx, cy, r) = (within(29, 34), within(29, 34), within(20, 26));
    let paler = rgb.map(|v| v / 3 + 170);
    let pixel = |at: i32| {
        let (x, y) = (at % SIDE - cx, at / SIDE - cy);
        if !is_inside(shape, x, y, r) {
            return WHITE;
        }
        let pale = match pattern {
            "striped" => (x + SIDE) / 4 % 2 == 0,
            "dotted" => (x + SIDE) % 9 < 4 && (y + SIDE) % 9 < 4,
            "checkered" => ((x + SIDE) / 6 + (y + SIDE) / 6) % 2 == 0,
            _ => false,
        };
        if pale { paler } else { rgb }
    };
    Picture { caption: format!("a {pattern} {color} {shape}"), pixels: (0..SIDE * SIDE).map(pixel).collect() }
}

/// Whether a point, seen from the middle, is in a shape of radius `r`.
fn is_inside(shape: &str, x: i32, y: i32, r: i32) -> bool {
    let square = x * x + y * y;
    match shape {
        "circle" => square <= r * r,
        "square" => x.abs().max(y.abs()) <= r * 9 / 10,
        "triangle" => y <= r * 8 / 10 && 2 * x.abs() <= y + r,
        "ring" => square <= r * r && square >= (r / 2) * (r / 2),
        _ => x.abs().min(y.abs()) <= r / 3 && x.abs().max(y.abs()) <= r,
    }
}

/// An uncompressed bitmap of 24 bits per pixel.
fn bmp(pixels: &[[u8; 3]]) -> Vec<u8> {
    const HEADERS: u32 = 54;
    let mut bytes = b"BM".to_vec();
    let mut int = |v: u32| bytes.extend(v.to_le_bytes());
    let planes_and_bits = 1 | 24 << 16;
    // File size, reserved, where pixels begin; size of the second header, width, height; then what has defaults.
    let head = [HEADERS + 3 * pixels.len() as u32, 0, HEADERS, 40, SIDE as u32, SIDE as u32, planes_and_bits];
    head.into_iter().chain([0; 6]).for_each(&mut int);
    for row in pixels.chunks(SIDE as usize).rev() {
        row.iter().for_each(|[r, g, b]| bytes.extend([*b, *g, *r]));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_their_own_captions_and_parts() -> Result<()> {
        let dir = tempfile::tempdir()?;
        write(dir.path(), 100, 40)?;
        let captions = |part: &str| -> Result<Vec<String>> {
            let list = fs::read_to_string(dir.path().join(part).join("metadata.jsonl"))?;
            Ok(list.lines().map(str::to_owned).collect())
        };
        let (train, test) = (captions("train")?, captions("test")?);
        assert_eq!((train.len(), test.len()), (100, 40));
        for word in ["striped", "dotted", "checkered", "ring", "red", "black"] {
            assert!(
                train.iter().any(|c| c.contains(word)) && test.iter().any(|c| c.contains(word)),
                "{word}"
            );
        }
        let image = fs::read(dir.path().join("train/000.bmp"))?;
        assert_eq!(image.len(), 54 + 3 * 64 * 64);
        assert_eq!(image[54..57], [255; 3]);
        assert!(image[54..].chunks(3).filter(|p| **p != [255; 3]).count() > 500, "a shape is there");
        Ok(())
    }
}
