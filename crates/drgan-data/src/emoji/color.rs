//! The color word of an image.

/// The nine color words, with the anchors that an image's pixels are compared with: the mean sRGB foreground of the
/// Fluent circle of that color (a test measures them again).
pub(super) const COLORS: [(&str, [u8; 3]); 9] = [
    ("red", [212, 66, 95]),
    ("orange", [249, 125, 76]),
    ("yellow", [228, 181, 82]),
    ("green", [89, 200, 147]),
    ("blue", [72, 123, 202]),
    ("purple", [132, 101, 192]),
    ("brown", [137, 94, 93]),
    ("black", [76, 69, 84]),
    ("white", [217, 206, 228]),
];

/// Further anchors: light and dark forms the circles do not have, and colors that none of the nine words names, whose pixels
/// abstain (a pig is not red).
const FURTHER: [(Option<&str>, [u8; 3]); 7] = [
    (Some("orange"), [252, 155, 35]),
    (Some("green"), [150, 215, 80]),
    (Some("blue"), [120, 220, 250]),
    (Some("yellow"), [255, 205, 60]),
    (Some("black"), [40, 35, 45]),
    (None, [250, 150, 175]),
    (None, [150, 145, 158]),
];

/// Words that count as naming a color in a label or caption.
const WORDS: [&str; 12] =
    ["red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white", "pink", "grey", "gray"];

/// The first color word of a text, as a whole word.
pub(super) fn named(text: &str) -> Option<&'static str> {
    text.split(|c: char| !c.is_alphanumeric()).find_map(|w| WORDS.into_iter().find(|c| *c == w))
}

/// sRGB to CIELAB under D65.
pub(super) fn lab(rgb: [u8; 3]) -> [f64; 3] {
    let [r, g, b] = rgb.map(|v| {
        let v = f64::from(v) / 255.;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let f = |t: f64| if t > (6f64 / 29.).powi(3) { t.cbrt() } else { t * 841. / 108. + 4. / 29. };
    let x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    let y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
    let z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
    [116. * y - 16., 500. * (x - y), 200. * (y - z)]
}

/// Mean sRGB of the pixels that are at least half opaque, composited on white.
#[cfg(test)]
pub(super) fn mean_foreground(image: &image::RgbaImage) -> [u8; 3] {
    let rgb = crate::image::on_white(image);
    let (mut sum, mut n) = ([0u64; 3], 0u64);
    for (p, _) in rgb.pixels().zip(image.pixels()).filter(|(_, p)| p[3] >= 128) {
        n += 1;
        (0..3).for_each(|i| sum[i] += u64::from(p[i]));
    }
    sum.map(|s| u8::try_from(s / n.max(1)).unwrap_or(u8::MAX))
}

/// The color word most of an image's foreground is nearest to in CIELAB: each pixel that is at least half opaque votes,
/// so that a red and white image is red or white and not pink. None for an empty image, and where most pixels are
/// pink or grey.
pub(super) fn dominant(image: &image::RgbaImage) -> Option<&'static str> {
    let own = COLORS.iter().map(|(name, rgb)| (Some(*name), lab(*rgb)));
    let anchors: Vec<_> = own.chain(FURTHER.iter().map(|(name, rgb)| (*name, lab(*rgb)))).collect();
    let mut votes: std::collections::BTreeMap<Option<&'static str>, usize> = Default::default();
    let rgb = crate::image::on_white(image);
    for (p, _) in rgb.pixels().zip(image.pixels()).filter(|(_, p)| p[3] >= 128) {
        let here = lab(p.0);
        let distance = |a: &[f64; 3]| (0..3).map(|i| (a[i] - here[i]).powi(2)).sum::<f64>();
        if let Some((name, _)) = anchors.iter().min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1))) {
            *votes.entry(*name).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, n)| *n)?.0
}
