//! Damaged and hostile weight files: an error, never a panic, and no more memory than the file justifies.
//!
//! One test: the peak of allocation is the process's.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::Device;
use drgan_tensor::weights::{Metadata, safetensors, torch};
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::path::Path;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes allocated at most, beside a constant, for each byte of a file: values, their tables, and eight times the tensors.
const PER_BYTE: usize = 400;
const CONSTANT: usize = 1 << 20;

/// Reads `bytes` by every reader; whether one took them.
fn attempt(bytes: &[u8]) -> bool {
    let path = Path::new("hostile");
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let torch = torch::from_bytes(bytes, path, &Device::Cpu);
    let safe = safetensors::from_bytes(bytes, path, &Device::Cpu);
    let peak = MEMORY.peak_usage().saturating_sub(before);
    assert!(peak <= CONSTANT + PER_BYTE * bytes.len(), "{peak} bytes for a file of {}", bytes.len());
    for message in
        [torch.as_ref().err().map(ToString::to_string), safe.as_ref().err().map(ToString::to_string)]
    {
        assert!(message.is_none_or(|m| m.starts_with("hostile: ")), "an error names the file");
    }
    torch.is_ok() || safe.is_ok()
}

fn corpus() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut files: Vec<Vec<u8>> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    let tensors = torch::from_bytes(&files[files.len() - 1], Path::new("last"), &Device::Cpu).unwrap();
    files.push(safetensors::to_bytes(&tensors, &Metadata::new()).unwrap());
    files
}

/// A legacy file around any pickle.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut file =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    file.extend_from_slice(pickle);
    file
}

/// Programs that grow what they can: nested tuples, copies of copies, one list given to many dictionaries.
fn bombs() -> Vec<Vec<u8>> {
    let nested: Vec<u8> = [b")".as_slice(), &[0x85; 100_000], b"."].concat();
    let doubled: Vec<u8> = [b")".as_slice(), &[b'2', 0x86].repeat(1000), b"."].concat();
    let mut shared = b"](".to_vec();
    shared.extend(b"((tt".repeat(2000)); // unbalanced on purpose
    shared.extend(b"eq\0".iter());
    shared.extend(b"ccollections\nOrderedDict\nh\0\x85R0".repeat(2000));
    let length = [b"\x8d".as_slice(), &[0xff; 8], b"X\xff\xff\xff\xffab."].concat();
    let memo: Vec<u8> = [b"Nr\xff\xff\xff\xff".as_slice(), b"j\xff\xff\xff\x7f."].concat();
    let marks = vec![b'('; 200_000];
    let itself = b"}q\0U\x01ah\0s.".to_vec();
    // One tensor under one long name in thousands of dictionaries.
    let stored = b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x01kU\x03cpuK\x00NtQK\x00)))tRq\x01";
    let mut named = [b"(X\x00\x00\x01\x00".as_slice(), &[b'n'; 0x1_0000], b"q\0", stored].concat();
    named.extend(b"lr\x09\0\0\0}(".iter());
    named.extend(b"U\x01a}h\0h\x01s".repeat(20_000));
    named.extend(b"u.");
    // One long text joined with itself, and decoded, again and again.
    let long = [b"(X\x20\x4e\x00\x00".as_slice(), &[b'a'; 20_000], b"q\0"].concat();
    let joined = [&long, b"h\0h\0\x93".repeat(40_000).as_slice(), b"l."].concat();
    let call = b"c_codecs\nencode\nq\x01";
    let decoded = [&long, call.as_slice(), &b"h\x01h\0\x85R".repeat(40_000), b"l."].concat();
    [nested, doubled, shared, length, memo, marks, itself, named, joined, decoded]
        .iter()
        .map(|p| legacy(p))
        .collect()
}

#[test]
fn no_file_does_harm() {
    let files = corpus();
    assert!(files.iter().filter(|f| attempt(f)).count() >= 6, "the corpus has whole files");
    for file in &files {
        for end in 0..file.len() {
            attempt(&file[..end]);
        }
    }
    for bomb in bombs() {
        assert!(!attempt(&bomb));
    }

    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 20_000, failure_persistence: None, ..Config::default() },
        rng,
    );
    let damage = (
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    );
    runner
        .run(&damage, |(file, changes)| {
            let mut bytes = file.get(&files).clone();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            attempt(&bytes);
            Ok(())
        })
        .unwrap();
    let operations = prop::collection::vec(any::<u8>(), 0..400);
    runner
        .run(&operations, |program| {
            attempt(&legacy(&program));
            attempt(&program);
            Ok(())
        })
        .unwrap();
}
