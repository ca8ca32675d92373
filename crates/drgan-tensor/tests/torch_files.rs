//! PyTorch checkpoints of both formats: values, and what is refused. Fixtures are made by tests/fixtures/make.py.
#![cfg(all(feature = "torch", feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{DType, Device, Tensor};
use drgan_tensor::testing::Fill;
use drgan_tensor::weights::Tensors;
use drgan_tensor::weights::strip_module;
use drgan_tensor::weights::torch::{Format, format_of, from_bytes, load};
use rstest::rstest;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read(name: &str) -> Tensors {
    load(&fixture(name), &Device::Cpu).unwrap()
}

fn refusal(name: &str) -> String {
    load(&fixture(name), &Device::Cpu).unwrap_err().to_string()
}

fn floats(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[rstest]
#[case("state.zip.pth")]
#[case("state.legacy.pth")]
#[case("python2.legacy.pth")]
#[case("training.zip.pth")]
#[case("training.legacy.pth")]
fn every_type_stride_and_offset_is_read(#[case] name: &str) {
    let t = read(name);
    assert_eq!(t.len(), 15, "the optimizer's tensor is not the network's: {:?}", t.keys());
    assert_eq!((t["whole"].dims(), floats(&t["whole"])), (&[3, 4][..], (0..12).map(|v| v as f32).collect()));
    assert_eq!(t["transposed"].dims(), [4, 3]);
    assert_eq!(floats(&t["transposed"]), [0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]);
    assert_eq!(floats(&t["part"]), [5., 6., 9., 10.]);
    assert_eq!(floats(&t["learnt"]), [8., 9., 10., 11.]);
    assert_eq!((t["old"].dims(), floats(&t["old"])), (&[2, 1, 3][..], vec![0., 2., 4., 6., 8., 10.]));
    assert_eq!(t["none"].dims(), [0, 4]);
    for name in ["double", "half", "bfloat16"] {
        assert_eq!(floats(&t[name]), [0.5, -2.], "{name}");
    }
    for name in ["int", "short", "char"] {
        assert_eq!(t[name].to_vec1::<i64>().unwrap(), [-3, 4], "{name}");
    }
    assert_eq!(t["long"].to_scalar::<i64>().unwrap(), 7);
    assert_eq!(t["byte"].to_vec1::<u8>().unwrap(), [3, 255]);
    assert_eq!(t["bool"].to_vec1::<u8>().unwrap(), [1, 0]);
}

#[test]
fn float_types_are_kept_where_asked_for() {
    let path = fixture("state.legacy.pth");
    let t = from_bytes(&std::fs::read(&path).unwrap(), &path, &Device::Cpu).unwrap();
    assert_eq!((t["double"].dtype(), t["half"].dtype()), (DType::F64, DType::F16));
}

#[test]
fn data_parallel_names_lose_their_prefix() {
    let whole = read("state.zip.pth");
    let stripped = strip_module(read("module.zip.pth"));
    assert!(stripped.keys().eq(whole.keys()));
    let mut mixed = read("module.zip.pth");
    mixed.insert("other".into(), whole["part"].clone());
    assert!(strip_module(mixed).contains_key("module.part"), "a module of that name, not a wrapper");
}

#[rstest]
#[case("hostile.zip.pth", "posix.system")]
#[case("hostile.legacy.pth", "posix.system")]
#[case("big_endian.legacy.pth", "big-endian")]
#[case("outside.zip.pth", "tensor `w`: it reaches outside its storage")]
#[case("expanded.zip.pth", "tensor `w`: the tensors together are many times larger than the file")]
#[case("overflow.zip.pth", "tensor `w`: sizes beyond")]
#[case("claims.zip.pth", "claims 1 value and holds 0 bytes")]
#[case("several.zip.pth", "several state dicts (a, b)")]
#[case("make.py", "neither of PyTorch's")]
#[case("absent.pth", "cannot be read")]
fn what_is_refused_is_named(#[case] name: &str, #[case] reason: &str) {
    let message = refusal(name);
    assert!(message.contains(reason) && message.contains(name), "{message}");
}

/// A legacy file: its object's pickle, and the storage `k` of one float.
fn legacy(object: &[u8]) -> Vec<u8> {
    let head =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02"
            .as_slice();
    [head, object, b".\x80\x02]U\x01ka.", &1u64.to_le_bytes(), &0.5f32.to_le_bytes()].concat()
}

/// Code of a tensor of the storage `k`, of this shape with strides of 0.
fn tensor(shape: &[u8]) -> Vec<u8> {
    let stored =
        b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x01kU\x03cpuK\x01NtQK\x00("
            .as_slice();
    let zeros = b"K\x00".repeat(shape.iter().filter(|b| **b == b'K').count());
    [stored, shape, b"t(", &zeros, b"ttR"].concat()
}

#[test]
fn expanded_views_are_read_where_the_file_justifies_them() {
    let object = [b"}U\x01w".as_slice(), &tensor(b"K\x03"), b"s"].concat();
    let t = from_bytes(&legacy(&object), Path::new("x.pth"), &Device::Cpu).unwrap();
    assert_eq!(floats(&t["w"]), [0.5; 3]);
}

#[rstest]
#[case(tensor(b"K\x02"), "a tensor where a dictionary of named tensors was to come")]
#[case([b"](".as_slice(), &tensor(b"K\x01"), b"e"].concat(), "a list where a dictionary")]
#[case(b"cmy.nets\nUnet\n)\x81".to_vec(), "an object of class `my.nets.Unet`")]
#[case([b"}(U\x01w".as_slice(), &tensor(b"M\xff\xffK\x01"), b"u"].concat(), "with strides")]
#[case([b"}(U\x01w".as_slice(), &tensor(b"K\xffK\xffK\xff"), b"u"].concat(), "many times larger than the file")]
#[case([b"}(U\x01a}U\x01w".as_slice(), &tensor(b"K\x01"), b"sU\x01w", &tensor(b"K\x01"), b"u"].concat(), "several state dicts (a, the outermost)")]
fn other_objects_are_refused_with_what_they_are(#[case] object: Vec<u8>, #[case] said: &str) {
    let e = from_bytes(&legacy(&object), Path::new("x.pth"), &Device::Cpu).unwrap_err().to_string();
    assert!(e.contains(said) && e.contains("x.pth"), "{e}");
}

/// A dictionary that leads to each value by its key.
fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let item =
        |(key, value): &(&str, Vec<u8>)| [b"U", &[key.len() as u8][..], key.as_bytes(), value].concat();
    [b"}(".to_vec(), items.iter().flat_map(item).collect(), b"u".to_vec()].concat()
}

/// What was taken is told by the tensor's length, since a file of this test has one storage.
#[rstest]
#[case(&["model", "ema"], "`ema`", "`model`")]
#[case(&["model", "model_ema"], "`model_ema`", "`model`")]
#[case(&["state_dict", "ema_state_dict"], "`ema_state_dict`", "`state_dict`")]
#[case(&["model", "state_dict"], "`state_dict`", "`model`")]
fn averaged_weights_are_preferred_and_what_was_taken_is_said(
    #[case] keys: &[&str],
    #[case] taken: &str,
    #[case] left: &str,
) {
    let object = dict(&[keys[0], keys[1]].map(|key| (key, dict(&[(key, tensor(b"K\x01"))]))));
    let file = drgan_tensor::weights::from_bytes(&legacy(&object), Path::new("x.pth"), &Device::Cpu).unwrap();
    assert_eq!(format!("`{}`", file.tensors.keys().next().unwrap()), taken);
    assert_eq!(file.notes, [format!("the weights under {taken} were taken, not those under {left}")]);
}

#[test]
fn nested_state_dicts_and_an_averaged_models_count_are_read() {
    let inner = |name| dict(&[("state_dict", dict(&[(name, tensor(b"K\x01"))]))]);
    let object = dict(&[("model", inner("plain")), ("ema", inner("averaged"))]);
    let file = drgan_tensor::weights::from_bytes(&legacy(&object), Path::new("x.pth"), &Device::Cpu).unwrap();
    assert!(file.tensors.contains_key("averaged"));
    assert!(file.notes[0].contains("`ema.state_dict` were taken, not those under `model.state_dict`"));

    let one = Tensor::ones(1, DType::F32, &Device::Cpu).unwrap();
    let named = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), one.clone())).collect::<Tensors>();
    assert!(strip_module(named(&["n_averaged", "module.w"])).keys().eq(["w"]));
    assert!(strip_module(named(&["n_averaged"])).keys().eq(["n_averaged"]));
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let object = dict(&[("w", tensor(b"K\x01")), ("w", tensor(b"K\x01"))]);
    let e = from_bytes(&legacy(&object), Path::new("x.pth"), &Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("x.pth") && e.contains("names `w` twice"), "{e}");

    let mut bytes = std::fs::read(fixture("state.zip.pth")).unwrap();
    // The directory's name of the second storage becomes the first's.
    let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let at =
        |name: &[u8], from: usize| from + bytes[from..].windows(name.len()).position(|w| w == name).unwrap();
    let second = at(b"data/1", directory);
    bytes[second + 5] = b'0';
    let e = from_bytes(&bytes, Path::new("x.pth"), &Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("two entries"), "{e}");
}

#[test]
fn an_archive_of_two_checkpoints_is_refused_by_both_names() {
    let file = |name: &str| {
        // A local header and an empty stored entry, then its line of the directory.
        let length = (name.len() as u16).to_le_bytes();
        let middle = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0; 12], &length, &[0, 0]].concat();
        (
            [&b"PK\x03\x04"[..], &middle, name.as_bytes()].concat(),
            [&b"PK\x01\x02\x14\0"[..], &middle, &[0; 10]].concat(),
        )
    };
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for name in ["b/data.pkl", "a/data.pkl"] {
        let (entry, line) = file(name);
        directory.extend([&line[..], &(bytes.len() as u32).to_le_bytes(), name.as_bytes()].concat());
        bytes.extend(entry);
    }
    let [at, size] = [bytes.len(), directory.len()].map(|n| (n as u32).to_le_bytes());
    bytes.extend([&directory[..], b"PK\x05\x06\0\0\0\0\x02\0\x02\0", &size, &at, &[0, 0]].concat());
    let e = from_bytes(&bytes, Path::new("x.pth"), &Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("x.pth") && e.contains("`a/data.pkl` and `b/data.pkl`"), "{e}");
}

#[test]
fn values_that_are_not_finite_are_noted() {
    let mut bytes = legacy(&dict(&[("w", tensor(b"K\x01"))]));
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    let file = drgan_tensor::weights::from_bytes(&bytes, Path::new("x.pth"), &Device::Cpu).unwrap();
    assert!(file.notes[0].starts_with("`w` has 1 of 1 value that is NaN or infinite"), "{:?}", file.notes);
}

#[test]
fn formats_are_told_by_their_first_bytes() {
    let of = |name: &str| format_of(&std::fs::read(fixture(name)).unwrap());
    assert_eq!(of("state.zip.pth"), Some(Format::Zip));
    assert_eq!(of("state.legacy.pth"), Some(Format::Legacy));
    assert_eq!(of("make.py"), None);
    assert_eq!(format_of(b""), None);
}

/// Real files of both formats hold what the golden rule gives.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
fn files_of_pytorch_follow_the_fill_rule() {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join("shared/golden"));
    let Some(golden) = above.into_iter().find(|p| p.join("stage2.legacy.pth").exists()) else {
        eprintln!("skipped: no shared/golden beside the repository");
        return;
    };
    for (name, prefix) in [
        ("stage2.legacy.pth", "generator.h_net2."),
        ("text_encoder.legacy.pth", "text_encoder."),
        ("text_encoder.zip.pth", "text_encoder."),
    ] {
        let tensors = load(&golden.join(name), &Device::Cpu).unwrap();
        assert!(tensors.len() > 8, "{name}");
        for (key, t) in tensors.iter().filter(|(_, t)| t.dtype().is_float()) {
            let want = Fill::new("seed-a", prefix).values(key, t.dims());
            let close = floats(t).iter().zip(&want).all(|(g, w)| (g - w).abs() <= 1e-6 * w.abs().max(1e-3));
            assert!(close, "{name}: {key}");
        }
    }
}

#[test]
fn an_archive_that_cannot_be_opened_has_the_archive_readers_error_as_its_source() {
    use std::error::Error as _;
    let path = Path::new("cut.pth");
    let e = from_bytes(b"PK\x03\x04 and no more", path, &Device::Cpu).unwrap_err();
    assert!(e.to_string().starts_with("cut.pth: not readable as a PyTorch checkpoint: a damaged zip"), "{e}");
    assert!(e.source().is_some_and(|s| s.downcast_ref::<zip::result::ZipError>().is_some()), "{e:?}");
}
