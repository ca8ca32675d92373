//! `drgan sample --out-dir`: a folder of images.
use super::super::common::report;
use super::captions::{Checked, is_pipe};
use super::model::Opened;
use crate::cli::SampleArgs;
use crate::signals::Stop;
use crate::sinks::Console;
use anyhow::Result;
use drgan_infer::folder::{Entry, Folder};
use drgan_infer::listing::Captions;
use drgan_infer::{Sampler, rgb};
use drgan_tensor::internal::{counted, shown};
use drgan_terminal::remark;
use drgan_train::events::{Meter, Sink};
use std::path::Path;
use std::time::{Duration, Instant};

/// Images that are drawn at once.
const CHUNK: usize = 16;
/// How often it is said how many images of a pipe's captions are done.
const EVERY: Duration = Duration::from_secs(5);

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
    let mut console = Console::default();
    // Of a pipe nobody knows how much is to come.
    let mut meter = captions_in_all(args)?
        .map(|captions| Meter::new("sample", captions as u64 * u64::from(args.count), 1, 0));
    if let Some(meter) = &meter {
        console.event(&meter.started());
    }
    let mut told = Instant::now();
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
            let done = passed - waiting.len() as u64;
            match &mut meter {
                Some(meter) => drop(console.event(&meter.at(done, &[], &[]))),
                None if told.elapsed() >= EVERY => {
                    remark(format!("sample: {done} done"));
                    told = Instant::now();
                }
                None => {}
            }
        }
        if ended {
            break;
        }
    }
    if let Some(meter) = &meter {
        console.event(&meter.ended());
    }
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

/// How many captions there are, with those that will be left out; none where they come from standard input.
fn captions_in_all(args: &SampleArgs) -> Result<Option<usize>> {
    let listed = match args.list.as_deref() {
        Some(list) if is_pipe(list) => return Ok(None),
        Some(list) => Captions::open(list)?.take_while(Result::is_ok).count(),
        None => 0,
    };
    Ok(Some(args.captions.len() + listed))
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
