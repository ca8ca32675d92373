//! `drgan sample --out-dir`: a folder of images.
use super::super::common::report;
use super::captions::Checked;
use super::model::Opened;
use crate::cli::SampleArgs;
use crate::signals::Stop;
use crate::sinks::Console;
use anyhow::Result;
use drgan_infer::folder::{Entry, Folder};
use drgan_infer::listing::Captions;
use drgan_infer::{Sampler, rgb};
use drgan_tensor::internal::{counted, shown};
use drgan_train::events::{Meter, Sink};
use std::path::Path;

/// Images that are drawn at once.
const CHUNK: usize = 16;

/// Draws every caption as often as `--count` says, `CHUNK` images at a time; what is there already is not drawn again.
pub(super) fn draw(
    args: &SampleArgs,
    dir: &Path,
    sampler: &Sampler,
    opened: &Opened,
    captions: &mut Checked<'_>,
    stop: &Stop,
) -> Result<()> {
    let mut folder = Folder::open(dir, args.format.into())?;
    let model = format!("{}, weights {:016x}", opened.name, opened.model.fingerprint()?);
    let precision = sampler.arithmetic().to_string();
    let listed = args
        .list
        .as_deref()
        .map_or(Ok(0), |path| Captions::open(path).map(|all| all.take_while(Result::is_ok).count()))?;
    let total = (args.captions.len() + listed) as u64 * u64::from(args.count);
    let mut console = Console::default();
    let mut meter = Meter::new("sample", total, 1, 0);
    console.event(&meter.started());
    let (mut drawn, mut there, mut passed) = (0, 0, 0);
    let mut waiting: Vec<Entry> = Vec::new();
    loop {
        let found = captions.next().transpose()?;
        let ended = found.is_none();
        if let Some(found) = found {
            for noise in 0..u64::from(args.count) {
                let entry = Entry {
                    file_name: Entry::name(found.place, &found.caption, noise, folder.format()),
                    text: found.caption.clone(),
                    seed: args.seed,
                    noise,
                    truncation: args.truncation,
                    precision: precision.clone(),
                    model: model.clone(),
                };
                match folder.has(&entry)? {
                    true => there += 1,
                    false => waiting.push(entry),
                }
            }
            passed = found.place as u64 * u64::from(args.count);
        }
        while waiting.len() >= CHUNK || ended && !waiting.is_empty() {
            let now: Vec<Entry> = waiting.drain(..waiting.len().min(CHUNK)).collect();
            drawn += now.len();
            write(&mut folder, sampler, now, stop)?;
            console.event(&meter.at(passed - waiting.len() as u64, &[], &[]));
        }
        if ended {
            break;
        }
    }
    console.event(&meter.ended());
    captions.end()?;
    let there = if there == 0 { String::new() } else { format!(", {there} there already") };
    report(&format!(
        "{}: {}{there} ({}, seed {})",
        shown(dir),
        counted(drawn, "image[|s]"),
        opened.name,
        args.seed
    ));
    Ok(())
}

fn write(folder: &mut Folder, sampler: &Sampler, entries: Vec<Entry>, stop: &Stop) -> Result<()> {
    let Some(seed) = entries.first().map(|entry| entry.seed) else { return Ok(()) };
    let texts: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
    let noise: Vec<u64> = entries.iter().map(|entry| entry.noise).collect();
    let images = sampler.images(&texts, &noise, seed)?;
    for (i, entry) in entries.into_iter().enumerate() {
        let image = rgb::to_rgb(&images.get(i)?)?;
        // A signal ends the program between two images.
        let _whole = stop.hold();
        folder.add(entry, &image)?;
    }
    Ok(())
}
