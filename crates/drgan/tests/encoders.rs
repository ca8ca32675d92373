//! Encoders alone: their training, what a GAN takes of it, and of AttnGAN's files.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use assert_cmd::Command;
use candle_core::{DType, Device};
use drgan_tensor::weights::{Metadata, safetensors};
use drgan_tensor::{FromConfig, ParamStore};
use drgan_text::{BiLstmEncoder, TextEncoderConfig};
use drgan_train::Checkpoint;
use std::path::Path;

fn drgan(args: &[&str]) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_drgan")).args(args).output().unwrap();
    (
        out.status.success(),
        [out.stdout, out.stderr].map(|s| String::from_utf8_lossy(&s).into_owned()).concat(),
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn encoders(run: &Path) -> Vec<(String, Vec<f32>)> {
    let (checkpoint, _) = Checkpoint::load_latest(&run.join("checkpoints")).unwrap();
    let part = |(name, t): (&String, &candle_core::Tensor)| {
        let of_encoders = ["text.", "image."].iter().any(|prefix| name.starts_with(prefix));
        of_encoders.then(|| (name.clone(), t.flatten_all().unwrap().to_vec1().unwrap()))
    };
    checkpoint.tensors.iter().filter_map(part).collect()
}

#[test]
fn pretraining_resumes_to_the_bit_and_a_gan_takes_its_encoders() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| dir.path().join(name);
    let (whole, parts, gan) = (run("whole"), run("parts"), run("gan"));
    let (done, said) = drgan(&["pretrain", "--preset", "tiny", "--epochs", "2", "--out", text(&whole)]);
    assert!(done && said.matches("R-precision").count() == 2, "a measure each epoch: {said}");
    assert!(drgan(&["pretrain", "--preset", "tiny", "--epochs", "1", "--out", text(&parts)]).0);
    let (done, said) = drgan(&["pretrain", "--resume", text(&parts), "--epochs", "2"]);
    assert!(done, "{said}");
    let trained = encoders(&whole);
    assert!(!trained.is_empty() && trained == encoders(&parts));

    let line = [
        "train",
        "--preset",
        "tiny",
        "--steps",
        "1",
        "--no-evaluate",
        "--encoders",
        text(&whole),
        "--out",
        text(&gan),
    ];
    let (done, said) = drgan(&line);
    assert!(done && !said.contains("DAMSM epoch"), "the encoders are trained: {said}");
    assert_eq!(trained, encoders(&gan));
    let other = drgan(&[&line[..8], &["--dry-run", "--set", "text.words_dim=128"]].concat());
    assert!(!other.0 && other.1.contains("`text.words_dim` is 256 in the given encoders"), "{}", other.1);
    assert!(other.1.contains("set to 128"), "{}", other.1);
    let (done, said) = drgan(&[&line[..8], &["--dry-run", "--set", "text.words_dim=256"]].concat());
    assert!(done, "what the encoders have may be said: {said}");
    let (done, said) = drgan(&["pretrain", "--resume", text(&gan)]);
    assert!(!done && said.contains("its GAN begun"), "{said}");
    let log = std::fs::read_to_string(whole.join("log.jsonl")).unwrap();
    assert_eq!(log.matches("r_text_to_image").count(), 2, "numbers for programs too");

    // The run holds its encoders: where they came from may be gone.
    let all = text(&whole).to_owned();
    std::fs::rename(&whole, run("elsewhere")).unwrap();
    let (done, said) = drgan(&["train", "--resume", text(&gan), "--steps", "2", "--no-evaluate"]);
    assert!(done, "without {all}: {said}");
    assert_eq!(trained, encoders(&gan));
    let image = run("x.png");
    let (done, said) = drgan(&["sample", "a red heart", "--run", text(&gan), "--out", text(&image)]);
    assert!(done, "without {all}: {said}");
}

#[test]
fn features_that_do_not_fit_into_memory_are_computed_for_each_batch() {
    let dir = tempfile::tempdir().unwrap();
    let loss = |name: &str, cache: &str| -> f32 {
        let out = dir.path().join(name);
        let (done, said) = drgan(&["pretrain", "--preset", "tiny", "--set", cache, "--out", text(&out)]);
        assert!(done, "{said}");
        let line = said.lines().find_map(|l| l.strip_prefix("DAMSM epoch 1 of 1: loss ")).unwrap();
        line.split(',').next().unwrap().parse().unwrap()
    };
    let (kept, computed) = (loss("kept", "damsm.cache_mib=64"), loss("computed", "damsm.cache_mib=0"));
    assert!((kept - computed).abs() < 0.01 * kept, "the same batches, the same features: {kept} {computed}");
}

/// As birds and COCO: loaded larger than the finest image, and cut out of that anew each time.
#[test]
fn images_cut_at_random_are_cut_in_pretraining_too() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| dir.path().join(name);
    let pretrain = |name: &str, set: &str| {
        let out = run(name);
        let (done, said) =
            drgan(&["pretrain", "--preset", "tiny", "--epochs", "2", "--set", set, "--out", text(&out)]);
        assert!(done, "{said}");
        (said, encoders(&out))
    };
    let (said, cut) = pretrain("cut", "loader.load_side=80");
    assert!(said.contains("cropped at random") && said.matches("R-precision").count() == 2, "{said}");
    assert!(cut == pretrain("again", "loader.load_side=80").1, "the same seed cuts alike");
    let (said, whole) = pretrain("whole", "loader.load_side=0");
    assert!(!said.contains("cropped at random") && cut != whole, "{said}");
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let vocabulary = dir.path().join("captions.pickle");
    std::fs::write(&vocabulary, b"\x80\x02](]]}(K\x00U\x05<end>K\x01U\x01au}e.").unwrap();
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../drgan-tensor/tests/fixtures/state.legacy.pth");
    let (done, said) = drgan(&["train", "--text-encoder", text(&fixture)]);
    assert!(!done && said.contains("--image-encoder") && said.contains("--vocabulary"), "{said}");
    let (done, said) = drgan(&[
        "train",
        "--preset",
        "tiny",
        "--dry-run",
        "--text-encoder",
        text(&fixture),
        "--image-encoder",
        text(&fixture),
        "--vocabulary",
        text(&vocabulary),
    ]);
    assert!(
        !done && said.contains("state.legacy.pth: not a text-encoder") && said.contains("encoder.weight"),
        "{said}"
    );
    // Of other sizes than the preset's: the file decides.
    let cfg = TextEncoderConfig { vocab_size: 3, embedding: 5, words_dim: 12, ..Default::default() };
    let store = ParamStore::seeded(1);
    BiLstmEncoder::from_config(&cfg, store.builder(DType::F32, &Device::Cpu)).unwrap();
    let encoder = dir.path().join("text.safetensors");
    safetensors::save(&encoder, &store.views(), &Metadata::new()).unwrap();
    let given = [
        "train",
        "--preset",
        "tiny",
        "--dry-run",
        "--text-encoder",
        text(&encoder),
        "--image-encoder",
        text(&encoder),
        "--vocabulary",
        text(&vocabulary),
    ];
    let (done, said) = drgan(&given);
    assert!(!done && said.contains("embeds 3 words") && said.contains("captions.pickle has 2"), "{said}");
    std::fs::write(&vocabulary, b"\x80\x02](]]}(K\x00U\x05<end>K\x01U\x01aK\x02U\x05heartu}e.").unwrap();
    let (done, said) = drgan(&given);
    assert!(
        !done && said.contains("encoders.image") && said.contains("emb_features"),
        "the text encoder fits: {said}"
    );
    let (done, said) = drgan(&["train", "--preset", "tiny", "--dry-run", "--set", "encoders.text=\"x.pth\""]);
    assert!(!done && said.contains("encoders.image: not given"), "{said}");
}

#[test]
fn exported_encoders_and_a_backbone_file_serve_a_run_and_may_then_be_gone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let weights = at("backbone.safetensors");
    let embedded = "../drgan-train/assets/efficientnet_lite0_imagenet_f16.safetensors";
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(embedded), &weights).unwrap();
    let (pretrained, gan) = (at("pretrained"), at("gan"));
    let backbone = format!("image_encoder.weights={:?}", text(&weights));
    let (done, said) =
        drgan(&["pretrain", "--preset", "tiny", "--set", &backbone, "--out", text(&pretrained)]);
    assert!(done, "{said}");
    let (file, words) = (pretrained.join("encoders.safetensors"), pretrained.join("tokenizer.json"));
    let files = ["--text-encoder", text(&file), "--image-encoder", text(&file), "--vocabulary", text(&words)];
    let line = ["train", "--preset", "tiny", "--steps", "1", "--no-evaluate", "--set", &backbone];
    let (done, said) = drgan(&[&line[..], &files, &["--out", text(&gan)]].concat());
    assert!(done && !said.contains("DAMSM epoch"), "{said}");
    assert_eq!(encoders(&pretrained), encoders(&gan));

    std::fs::remove_dir_all(&pretrained).unwrap();
    std::fs::remove_file(&weights).unwrap();
    let (done, said) = drgan(&["train", "--resume", text(&gan), "--steps", "2", "--no-evaluate"]);
    assert!(done, "{said}");
    let (done, said) = drgan(&["sample", "a red heart", "--run", text(&gan), "--out", text(&at("x.png"))]);
    assert!(done, "{said}");
}

#[test]
fn images_that_do_not_decode_are_named_where_features_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("images");
    std::fs::create_dir(&folder).unwrap();
    for i in 0..120u8 {
        let color = image::Rgb([i * 2, 255 - i, i.wrapping_mul(37)]);
        image::RgbImage::from_pixel(16, 16, color).save(folder.join(format!("{i}.png"))).unwrap();
        std::fs::write(folder.join(format!("{i}.txt")), format!("a square number {i}")).unwrap();
    }
    let run = |out: &str| {
        let out = dir.path().join(out);
        let sets = ["--set", "data.limit=0", "--set", "damsm.cache_mib=0"];
        let line = ["pretrain", "--preset", "tiny", "--data", text(&folder), "--out", text(&out)];
        drgan(&[&line[..], &sets].concat())
    };
    // The last of the order by key: no chunk that is read beforehand holds it.
    std::fs::write(folder.join("99.png"), b"not a image").unwrap();
    let (done, said) = run("one");
    assert!(done && said.contains("99.png") && said.contains("left out"), "{said}");
    for i in 94..98 {
        std::fs::write(folder.join(format!("{i}.png")), b"not a image").unwrap();
    }
    let (done, said) = run("many");
    assert!(!done && said.contains("2 of 108 images") && said.contains("99.png"), "{said}");
}
