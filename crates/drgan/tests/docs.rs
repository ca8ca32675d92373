//! Documents say what the program does: docs/cli.md is made from the command line, and every command that a document
//! shows is one that the program takes; so is every `cargo run` one that cargo takes, of an example that there is.
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, CommandFactory, Parser};
use drgan::cli::{Cli, Command};
use drgan_train::config::{Overrides, RANGES, RunConfig};
use std::path::{Path, PathBuf};

/// Set, docs/cli.md is written instead of compared.
const REGENERATE: &str = "DRGAN_WRITE_DOCS";
/// What `cargo xtask` does itself; the rest it hands to `drgan`.
const XTASK_OWN: [&str; 11] = [
    "parity",
    "test",
    "asan",
    "bench",
    "compat",
    "finetune",
    "kills",
    "mutate",
    "device-check",
    "tidy",
    "ci",
];
/// How an example is run.
const CARGO_RUN: &str = "cargo run ";
/// What `cargo xtask data emoji` adds where it is not given.
const PACKING: [&str; 3] = ["--fluent", "--emojibase", "--out"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// docs/cli.md as it should be.
fn page() -> String {
    let mut text = String::from(
        "# Command line\n\n\
         Made from the program itself: `DRGAN_WRITE_DOCS=1 cargo xtask test docs_` writes this page anew, and a test fails where it \
         is behind.\nIn a checkout, `cargo xtask` stands for `drgan`: it builds the program and hands the arguments on.\n",
    );
    let mut cli = Cli::command().term_width(100);
    cli.build();
    describe(&mut cli, &mut text);
    text
}

fn describe(command: &mut clap::Command, text: &mut String) {
    let help = command.render_long_help().to_string();
    let name = command.get_bin_name().unwrap_or("drgan").to_owned();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    *text += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n"));
    for sub in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
        describe(sub, text);
    }
}

#[test]
fn docs_describe_the_command_line_as_it_is() {
    let path = root().join("docs/cli.md");
    let want = page();
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let got = std::fs::read_to_string(&path).unwrap_or_default();
    for (i, (got, want)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "docs/cli.md:{}: run `{REGENERATE}=1 cargo xtask test docs_`", i + 1);
    }
    assert!(got == want, "docs/cli.md is cut short: run `{REGENERATE}=1 cargo xtask test docs_`");
}

/// docs/settings.md as it should be.
fn settings_page() -> String {
    let mut text = format!(
        "# Settings\n\nMade from the program's own table: `{REGENERATE}=1 cargo xtask test docs_` writes this page anew. What is out \
         of its range is\nrefused before anything runs. Defaults are those under every preset; `train --dry-run` prints a run's own.\n\n\
         | setting | default | takes |\n| --- | --- | --- |\n"
    );
    let all: toml::Value =
        toml::Value::Table(RunConfig::default().to_toml().expect("TOML").parse().expect("TOML"));
    for (key, range) in RANGES {
        let value = key.split('.').try_fold(&all, |table, part| table.get(part)).expect(key);
        text += &format!("| `{key}` | `{value}` | {range} |\n");
    }
    text
}

#[test]
fn docs_list_every_setting_with_its_range() {
    let path = root().join("docs/settings.md");
    let want = settings_page();
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let got = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "docs/settings.md is behind: run `{REGENERATE}=1 cargo xtask test docs_`");
}

/// A command that a document shows.
#[derive(Debug, PartialEq)]
struct Shown {
    line: usize,
    /// Whether it is a `cargo run`.
    cargo_run: bool,
    /// What stands behind `cargo xtask`, `cargo run` or `drgan`.
    words: Vec<String>,
    /// In the middle of a sentence, where `cargo xtask sample` alone is the command's name.
    mentioned: bool,
}

/// `cargo xtask ...` and `cargo run ...` anywhere, and lines of code blocks that start with `drgan`.
fn commands(text: &str) -> Vec<Shown> {
    let (mut found, mut fenced) = (Vec::new(), false);
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let code = fenced || line.starts_with("    ");
        // A command goes on behind a `\`, and inline code in the next line.
        let mut whole = (*line).to_owned();
        for next in &lines[i + 1..] {
            if code && let Some(cut) = whole.trim_end().strip_suffix('\\') {
                whole = format!("{} {}", cut.trim_end(), next.trim());
            } else if !code && whole.matches('`').count() % 2 == 1 {
                whole = format!("{whole} {}", next.trim());
            } else {
                break;
            }
        }
        let mut add = |rest: &str, cargo_run: bool| {
            let words = words(if code { rest } else { rest.split('`').next().unwrap_or_default() });
            found.push(Shown { line: i + 1, cargo_run, words, mentioned: !code });
        };
        let prompt = line.len() - line.trim_start().trim_start_matches("$ ").len();
        if code && let Some(rest) = whole[prompt..].strip_prefix("drgan ") {
            add(rest, false);
        }
        for program in ["cargo xtask ", CARGO_RUN] {
            for (at, name) in line.match_indices(program) {
                add(&whole[at + name.len()..], program == CARGO_RUN);
            }
        }
    }
    found
}

/// Words as a shell splits them, up to a comment, a column of explanations or another command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut spaces) = (Vec::new(), None::<String>, None, 0);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('|' | ';' | '&' | '>', None) => break,
            ('#', None) if word.is_none() => break,
            (' ', None) => {
                spaces += 1;
                words.extend(word.take());
                if spaces > 1 {
                    break;
                }
                continue;
            }
            (c, None) => word.get_or_insert_default().push(c),
        }
        spaces = 0;
    }
    words.extend(word);
    words
}

/// Why the program would refuse it, if it would.
fn complaint(shown: &Shown) -> Option<String> {
    if shown.cargo_run {
        return cargo_run_complaint(&shown.words);
    }
    let elided = shown.words.iter().any(|w| w == "...");
    let mut words: Vec<&str> = shown.words.iter().map(String::as_str).filter(|w| *w != "...").collect();
    match words.first() {
        None => return (!elided).then(|| "no command".to_owned()),
        Some(own) if XTASK_OWN.contains(own) || own.starts_with('-') => return None,
        Some(_) => {}
    }
    // What `cargo xtask` keeps for cargo.
    if let Some(at) = words.iter().position(|word| *word == "--features") {
        words.drain(at..(at + 2).min(words.len()));
    }
    if words.starts_with(&["data", "emoji"]) {
        let missing: Vec<&str> = PACKING.into_iter().filter(|p| !words.contains(p)).collect();
        words.extend(missing.iter().flat_map(|p| [p, "FILE"]));
    }
    let unfinished = elided || shown.mentioned && words.len() == 1;
    match Cli::try_parse_from(std::iter::once("drgan").chain(words)) {
        Ok(Cli { command: Command::Train(args) }) if args.run.resume.is_none() => {
            RunConfig::resolve(&args.run.preset, &Overrides { file: None, set: &args.run.set })
                .err()
                .map(|e| e.to_string())
        }
        Ok(_) => None,
        Err(e) => match e.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => None,
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                if unfinished =>
            {
                None
            }
            _ => Some(e.to_string()),
        },
    }
}

/// Why cargo would refuse a `cargo run` of these words in the root folder, if it would: an option that it does not take, or
/// an example that is not in exactly one crate.
fn cargo_run_complaint(words: &[String]) -> Option<String> {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let valued = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append);
    let parser = clap::Command::new("cargo run")
        .no_binary_name(true)
        .args(["release", "quiet", "locked", "offline", "no-default-features"].map(flag))
        .args(["features", "package", "bin", "target-dir"].map(valued))
        .arg(Arg::new("example").long("example").required(true))
        .arg(Arg::new("args").num_args(0..)); // behind `--`, whatever they are
    let taken = match parser.try_get_matches_from(words) {
        Ok(taken) => taken,
        Err(e) => return Some(e.to_string()),
    };
    let example = taken.get_one::<String>("example")?;
    let file = format!("{example}.rs");
    let holders = crates().into_iter().filter(|c| c.join("examples").join(&file).is_file()).count();
    (holders != 1).then(|| format!("the example `{example}` is in {holders} crates"))
}

/// The folders of the crates.
fn crates() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("crates")).expect("the workspace has crates");
    entries.flatten().map(|e| e.path()).collect()
}

/// The files of a folder, if it is there, whose names end in `.EXTENSION`.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    paths.filter(|p| p.extension().is_some_and(|e| e == extension)).collect()
}

#[test]
fn docs_show_commands_that_work() {
    let mut found = files(&root(), "md");
    found.extend(files(&root().join("docs"), "md"));
    for folder in crates() {
        found.extend(files(&folder, "md"));
        found.extend(files(&folder.join("examples"), "rs"));
    }
    let (mut wrong, mut checked, mut runs) = (Vec::new(), 0, 0);
    for page in found {
        for shown in commands(&read(&page)) {
            checked += 1;
            runs += usize::from(shown.cargo_run);
            wrong.extend(complaint(&shown).map(|c| format!("{}:{}: {c}", page.display(), shown.line)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missed = format!(
        "only {checked} commands found, {runs} of examples: are the documents still where they were?"
    );
    assert!(checked >= 20 && runs >= 10, "{missed}");
}

#[test]
fn docs_with_a_wrong_command_are_found_out() {
    let refused = |text: &str| {
        let shown = commands(text);
        assert_eq!(shown.len(), 1, "{text}: {shown:?}");
        complaint(&shown[0])
    };
    for wrong in [
        "```\ncargo xtask train --steps many\n```",
        "```\n$ cargo xtask sample\n```",
        "```\ndrgan train --preset emoji\n```",
        "    cargo xtask train --set loss.lamda=2",
        "Say `cargo xtask dissect runs/x` then.",
        "Say `cargo xtask train --resume\nruns/x --seed 3` then.",
        "```\ncargo xtask train \\\n  --outt runs/x\n```",
        "```\ncargo xtask evaluate --run a b   # twice\n```",
        "Say `cargo run --workspace --release --example generate` then.",
        "Say `cargo run --release --example nowhere` then.",
        "Say `cargo run --release --example generate --workspace` then.",
        "//! `cargo run --release --exmaple generate`",
    ] {
        assert!(refused(wrong).is_some(), "{wrong}");
    }
    for right in [
        "```\ncargo xtask train --steps 5  # a few\n```",
        "```\ndrgan sample \"a red heart\" 'a | b' --out x.png && xdg-open x.png\n```",
        "```\ncargo xtask train ...        build and run\n```",
        "`cargo xtask sample`: draws captions.",
        "Say `cargo xtask train --resume\nruns/x --steps 3` then.",
        "```\ncargo xtask train \\\n  --out runs/x\n```",
        "`cargo xtask data emoji` makes it again.",
        "`cargo xtask bench kernels -- conv2d` runs some.",
        "    cargo xtask train --help",
        "//! `cargo run --release --example settings -- --preset tiny --set a=1`, say.",
        "Say `cargo run --release --example\ndraw MODEL.safetensors OUT.png \"a red heart\"` then.",
    ] {
        assert_eq!(refused(right), None, "{right}");
    }
    assert_eq!(
        commands("```\ncargo xtask sample \"a # b\" --seed 3 # seed\n```")[0].words,
        ["sample", "a # b", "--seed", "3"]
    );
    assert!(commands("drgan is a program; `cargo build` is not xtask.").is_empty());
}
