//! Settings as TOML tables: one laid over another, keys of older versions, keys that follow from others.
use super::ranges::Range;
use super::seed;
use crate::error::TrainError;
use drgan_tensor::file;
use drgan_tensor::internal::{escaped, shown};
use std::path::Path;
use toml::{Table, Value};

/// A key that older versions wrote, though its value follows from another.
pub(super) struct Derived {
    path: &'static str,
    /// The key that decides it, where one does.
    source: Option<&'static str>,
    why: &'static str,
}

const fn derived(path: &'static str, source: Option<&'static str>, why: &'static str) -> Derived {
    Derived { path, source, why }
}

const DERIVED: [Derived; 5] = [
    derived("text.vocab_size", None, "the captions decide it"),
    derived("generator.text_dim", Some("text.words_dim"), "it is text.words_dim"),
    derived("discriminator.text_dim", Some("text.words_dim"), "it is text.words_dim"),
    derived("discriminator.side", None, "each stage has its own"),
    derived("discriminator.base", Some("generator.base"), "it is generator.base"),
];

/// Keys of older versions: the section, the old key, and that of today, which may lie in a section below.
const RENAMED: [(&str, &str, &str); 2] =
    [("train", "average", "ema"), ("loader", "colour_repeat", "repeat.times")];

/// Bytes that a file of settings may have; the longest that this crate writes has three thousand.
const LARGEST_FILE: u64 = 1 << 20;

/// The text of a file of settings.
///
/// # Errors
/// It is no regular file, is too large, or is no UTF-8.
pub(super) fn read(path: &Path) -> Result<String, TrainError> {
    let refuse = |why: &str| TrainError::Config(format!("{}: {why}", shown(path)));
    if std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > LARGEST_FILE) {
        return Err(refuse("a file of settings has at most 1 MiB"));
    }
    String::from_utf8(file::read(path)?)
        .map_err(|_| refuse("a file of settings is text, and this is not UTF-8"))
}

/// The table of a file's text; `origin` is its name in errors.
pub(super) fn parse(text: &str, origin: &str) -> Result<Table, TrainError> {
    text.parse().map_err(|e: toml::de::Error| {
        // The message shows the line, which may hold anything.
        let lines: Vec<_> = e.to_string().lines().map(|line| escaped(line).to_string()).collect();
        TrainError::Config(format!("{origin}: {}", lines.join("\n")).trim().to_owned())
    })
}

/// `a.b=c` as a table; a value that is not TOML is taken as a string.
pub(super) fn parse_setting(setting: &str) -> Result<Table, TrainError> {
    let Some((key, value)) = setting.split_once('=') else {
        return Err(TrainError::Config(format!(
            "setting {setting}: expected KEY=VALUE, for example loss.lambda=2"
        )));
    };
    let (key, value) = (key.trim(), value.trim());
    // Lines of other settings below the value are none of it.
    let alone = |table: &Table| table.len() == 1;
    let literal = format!("v = {value}").parse().ok().filter(alone).and_then(|mut t| t.remove("v"));
    let mut value = literal.unwrap_or_else(|| Value::String(value.to_owned()));
    for part in key.rsplit('.') {
        value = Value::Table(Table::from_iter([(part.to_owned(), value)]));
    }
    match value {
        Value::Table(t) => Ok(t),
        _ => Err(TrainError::Config(format!("setting {setting}: empty key"))),
    }
}

/// Today's keys for those of older versions; `origin` is the table's name in errors.
///
/// # Errors
/// A value under both its keys.
pub(super) fn rename(table: &mut Table, origin: &str) -> Result<(), TrainError> {
    for (section, old, new) in RENAMED {
        let path = format!("{section}.{new}");
        let twice = lookup(table, &path).is_some();
        if let Some(Value::Table(keys)) = table.get_mut(section)
            && let Some(value) = keys.remove(old)
        {
            if twice {
                return Err(TrainError::Config(format!(
                    "{origin}: `{section}.{old}` is the old name of `{path}`, and both are given; keep `{path}`"
                )));
            }
            let (below, key) = new.rsplit_once('.').map_or((None, new), |(below, key)| (Some(below), key));
            let place = match below {
                Some(below) => keys.entry(below).or_insert_with(|| Value::Table(Table::new())).as_table_mut(),
                None => Some(keys),
            };
            place.map(|place| place.insert(key.to_owned(), value));
        }
    }
    Ok(())
}

/// The value of a dotted key.
fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        Some((section, rest)) => lookup(table.get(section)?.as_table()?, rest),
        None => table.get(path),
    }
}

/// Takes out what follows from other keys, with the values that were given.
pub(super) fn take_derived(table: &mut Table) -> Vec<(&'static Derived, Value)> {
    let take = |derived: &'static Derived| {
        let (section, key) = derived.path.split_once('.')?;
        Some((derived, table.get_mut(section)?.as_table_mut()?.remove(key)?))
    };
    DERIVED.iter().filter_map(take).collect()
}

/// Refuses values of [`take_derived`] that are not those which follow from `all`, or, in `written`, what a version that wrote
/// them wrote for every run.
///
/// # Errors
/// The first such value, with what decides it.
pub(super) fn check_derived(
    given: &[(&'static Derived, Value)],
    all: &Table,
    written: Option<&Table>,
    origin: &str,
) -> Result<(), TrainError> {
    for (Derived { path, source, why }, value) in given {
        let follows = source.and_then(|source| lookup(all, source));
        if follows == Some(value) || written.is_some_and(|written| lookup(written, path) == Some(value)) {
            continue;
        }
        let is = follows.map(|follows| format!(", here {follows}, not {value}")).unwrap_or_default();
        return Err(TrainError::Config(format!("{origin}: `{path}` is not a setting: {why}{is}")));
    }
    Ok(())
}

/// Lays `over`, which came from `origin`, over `base`, whose keys are all there are.
///
/// # Errors
/// An unknown key (the nearest is suggested), the preset, a value of another type.
pub(super) fn merge(base: &mut Table, over: Table, origin: &str) -> Result<(), TrainError> {
    merge_section(base, over, "", origin)
}

fn merge_section(base: &mut Table, over: Table, prefix: &str, origin: &str) -> Result<(), TrainError> {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let refuse = |why: String| Err(TrainError::Config(format!("{origin}: {why}")));
        if path == "preset" {
            return Err(TrainError::PresetSetting { origin: origin.to_owned() });
        }
        let known: Vec<String> = base.keys().cloned().collect();
        match (base.get_mut(&key), value) {
            (None, _) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return refuse(format!(
                    "unknown key `{}`{}",
                    escaped(&path),
                    suggest_key(&key, prefix, &known)
                ));
            }
            (Some(Value::Table(inner)), Value::Table(value)) => merge_section(inner, value, &path, origin)?,
            (Some(Value::Table(_)), value) => {
                return refuse(format!("`{path}` is a section, not a value ({value})"));
            }
            (Some(slot), value) if path == seed::KEY => match seed::whole(&value) {
                Some(number) => *slot = seed::value(number),
                None => {
                    return refuse(format!("`{path}` is {value}: it must be {}", Range::Whole(0, u64::MAX)));
                }
            },
            // `1` is a fine way to write `1.0`.
            (Some(slot @ Value::Float(_)), Value::Integer(i)) => *slot = Value::Float(i as f64),
            (Some(slot), value) if slot.same_type(&value) => *slot = value,
            (Some(slot), value) => {
                let (want, got) = (slot.type_str(), value.type_str());
                let article = if want.starts_with(['a', 'i']) { "an" } else { "a" };
                return refuse(format!("`{path}` takes {article} {want}, got the {got} {value}"));
            }
        }
    }
    Ok(())
}

/// As [`suggest`], for a key of `section`; old keys are known too, and answered with those of today.
fn suggest_key(key: &str, section: &str, known: &[&str]) -> String {
    let old: Vec<_> = RENAMED.iter().filter(|(of, ..)| *of == section).collect();
    let all: Vec<&str> = known.iter().copied().chain(old.iter().map(|(_, old, _)| *old)).collect();
    let renamed = nearest(key, &all).and_then(|name| old.iter().find(|(_, old, _)| *old == name));
    match renamed {
        Some((.., new)) => format!("; did you mean `{new}`?"),
        None => suggest(key, known),
    }
}

/// `; did you mean ...?` or a list of what there is.
fn suggest(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}

/// The one of `known` that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, name) = known.iter().map(|k| (strsim::damerau_levenshtein(word, k), *k)).min()?;
    (distance <= 1 + word.len() / 3).then_some(name)
}
