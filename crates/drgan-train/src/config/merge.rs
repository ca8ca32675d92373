//! Settings as TOML tables: one laid over another, keys of older versions, keys that follow from others.
use crate::error::TrainError;
use toml::{Table, Value};

/// Keys that follow from others, and from which. Older versions wrote them; in files they are passed over.
const DERIVED: [(&str, &str); 6] = [
    ("text.vocab_size", "the captions decide it"),
    ("generator.text_dim", "it is text.words_dim"),
    ("discriminator.text_dim", "it is text.words_dim"),
    ("discriminator.side", "each stage has its own"),
    ("discriminator.base", "it is generator.base"),
    ("preset", "a run is started from a preset by its name"),
];

/// Keys of older versions: the section, the old key, and that of today, which may lie in a section below.
const RENAMED: [(&str, &str, &str); 2] =
    [("train", "average", "ema"), ("loader", "colour_repeat", "repeat.times")];

/// Reads a file's text; `origin` is its name in errors.
pub(super) fn parse(text: &str, origin: &str) -> Result<Table, TrainError> {
    text.parse().map_err(|e: toml::de::Error| TrainError::Config(format!("{origin}: {e}").trim().to_owned()))
}

/// `a.b=c` as a table; a value that is not TOML is taken as a string.
pub(super) fn parse_setting(setting: &str) -> Result<Table, TrainError> {
    let Some((key, value)) = setting.split_once('=') else {
        return Err(TrainError::Config(format!(
            "setting {setting}: expected KEY=VALUE, for example loss.lambda=2"
        )));
    };
    let (key, value) = (key.trim(), value.trim());
    let literal = format!("v = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
    let mut value = literal.unwrap_or_else(|| Value::String(value.to_owned()));
    for part in key.rsplit('.') {
        value = Value::Table(Table::from_iter([(part.to_owned(), value)]));
    }
    match value {
        Value::Table(t) => Ok(t),
        _ => Err(TrainError::Config(format!("setting {setting}: empty key"))),
    }
}

/// Today's keys for those of older versions.
pub(super) fn rename(table: &mut Table) {
    for (section, old, new) in RENAMED {
        if let Some(Value::Table(section)) = table.get_mut(section)
            && let Some(value) = section.remove(old)
        {
            let (below, key) = new.rsplit_once('.').map_or((None, new), |(below, key)| (Some(below), key));
            let place = match below {
                Some(below) => {
                    section.entry(below).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
                }
                None => Some(section),
            };
            place.map(|place| place.insert(key.to_owned(), value));
        }
    }
}

/// Takes out what follows from other keys.
pub(super) fn remove_derived(table: &mut Table) {
    for (path, _) in DERIVED {
        if let Some((section, key)) = path.split_once('.')
            && let Some(Value::Table(section)) = table.get_mut(section)
        {
            section.remove(key);
        }
    }
}

/// Lays `over`, which came from `origin`, over `base`, whose keys are all there are.
///
/// # Errors
/// An unknown key (the nearest is suggested), one that follows from others, a value of another type.
pub(super) fn merge(base: &mut Table, over: Table, origin: &str) -> Result<(), TrainError> {
    merge_section(base, over, "", origin)
}

fn merge_section(base: &mut Table, over: Table, prefix: &str, origin: &str) -> Result<(), TrainError> {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let refuse = |why: String| Err(TrainError::Config(format!("{origin}: {why}")));
        if let Some((_, why)) = DERIVED.iter().find(|(name, _)| *name == path) {
            return refuse(format!("`{path}` is not a setting: {why}"));
        }
        let known: Vec<String> = base.keys().cloned().collect();
        match (base.get_mut(&key), value) {
            (None, _) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return refuse(format!("unknown key `{path}`{}", suggest(&key, &known)));
            }
            (Some(Value::Table(inner)), Value::Table(value)) => merge_section(inner, value, &path, origin)?,
            (Some(Value::Table(_)), value) => {
                return refuse(format!("`{path}` is a section, not a value ({value})"));
            }
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

/// ` (did you mean ...?)` or a list of what there is.
pub(super) fn suggest(word: &str, known: &[&str]) -> String {
    let best = known.iter().map(|k| (strsim::damerau_levenshtein(word, k), k)).min();
    match best {
        Some((distance, name)) if distance <= 1 + word.len() / 3 => format!("; did you mean `{name}`?"),
        _ => format!("; there are: {}", known.join(", ")),
    }
}
