//! What is promised of the embedded model.
use drgan_infer::{Device, Precision, Result, Sampler, rgb};
use drgan_pretrained::{CAPTIONS, EMOJI_64, emoji_64};
use std::collections::BTreeSet;

/// 5.5 MiB.
const MOST_BYTES: usize = 11 << 19;

#[test]
fn it_is_small_and_says_what_it_is() -> Result<()> {
    assert!(EMOJI_64.len() <= MOST_BYTES, "{} bytes", EMOJI_64.len());
    let model = emoji_64(&Device::Cpu)?;
    assert_eq!((model.config().name.as_str(), model.config().side()), ("emoji-64", 64));
    assert!(model.config().step > 0 && model.projection().is_some());
    for said in ["MIT", "seed", "KID", "R-precision", "untrained", "real", "commit", "does not"] {
        assert!(model.card().contains(said), "the card does not say `{said}`:\n{}", model.card());
    }
    Ok(())
}

#[test]
fn it_knows_a_word_of_every_caption_of_its_sheet() -> Result<()> {
    let model = emoji_64(&Device::Cpu)?;
    let captions: BTreeSet<&str> = CAPTIONS.lines().collect();
    assert_eq!((captions.len(), CAPTIONS.lines().count()), (100, 100));
    for caption in captions {
        assert!(model.captions().tokenize(caption)?.unknown.is_empty(), "{caption}");
    }
    Ok(())
}

#[test]
fn it_draws_a_red_heart_in_red_on_white() -> Result<()> {
    let model = emoji_64(&Device::Cpu)?;
    let images =
        Sampler::new(&model, Precision::F32)?.images(&["a red heart"; 8], &[0, 1, 2, 3, 4, 5, 6, 7], 0)?;
    for i in 0..8 {
        let image = rgb::to_rgb(&images.get(i)?)?;
        let [red, green, blue] = image.get_pixel(32, 32).0.map(i32::from);
        assert!(red > green + 80 && red > blue + 60, "sample {i}: {red} {green} {blue}");
        assert!(image.get_pixel(1, 1).0.iter().all(|v| *v > 200), "sample {i}");
    }
    Ok(())
}
