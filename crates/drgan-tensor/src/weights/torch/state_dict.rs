//! Where the tensors are in a pickled object.
use super::globals::{Storage, TorchGlobals, TorchObject, TorchValue, View};
use super::refusal::Refusal;
use super::storage::{self, Raw};
use crate::weights::pickle::machine::Machine;
use crate::weights::pickle::value::Value;
use crate::weights::tensors::Tensors;
use crate::weights::unrepeated::repeated;
use candle_core::Device;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Keys under which training scripts put the network: averages of its weights first, as they draw better, then best first.
const USUAL: [&str; 15] = [
    "ema",
    "model_ema",
    "ema_model",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema_state_dict",
    "params_ema",
    "g_ema",
    "netG_ema",
    "averaged",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "params",
];

/// Dictionaries within dictionaries beyond this depth are not looked at.
const DEPTH: usize = 8;

/// Tensors of a file, whatever is shared between them counted each time, may take this many times its size.
const EXPANSION: usize = 8;

/// How many of several state dicts an error names.
const SHOWN: usize = 8;

/// Tensors by name. Names stay shared with the pickle: one that a hostile file gives to thousands of dictionaries is held once.
type Views = BTreeMap<Rc<str>, Rc<View>>;

/// A dictionary with tensors directly in it, and the keys that lead to it.
struct Found {
    path: Vec<Rc<str>>,
    tensors: Views,
}

/// The tensors of a pickled object whose storages `raw` finds by key; `file` is the whole file's length.
pub(super) fn tensors<'a>(
    machine: &Machine<TorchGlobals>,
    object: &TorchValue,
    file: usize,
    device: &Device,
    raw: impl Fn(&Storage) -> Result<Raw<'a>, Refusal>,
) -> Result<(Tensors, Vec<String>), Refusal> {
    let mut budget = file.saturating_mul(EXPANSION);
    let mut out = Tensors::new();
    let (views, note) = find(machine, object)?;
    for (name, view) in views {
        let made = raw(&view.storage).and_then(|raw| storage::tensor(&view, &raw, &mut budget, device));
        let made = made.map_err(|refusal| refusal.of(&format!("tensor `{name}`")))?;
        out.insert(name.to_string(), made);
    }
    Ok((out, note.into_iter().collect()))
}

/// The state dict of an object, and a sentence about it if there are others: under a usual key, at the top or below one more
/// usual key, or else the one dictionary of tensors that is not an optimizer's.
fn find(machine: &Machine<TorchGlobals>, object: &TorchValue) -> Result<(Views, Option<String>), String> {
    let mut found = Vec::new();
    search(machine, object, &mut Vec::new(), &mut HashSet::new(), &mut found)?;
    found.retain(|f| !f.path.iter().any(|part| part.to_lowercase().contains("optim")));
    let usual = |key: &str| USUAL.iter().position(|usual| *usual == key);
    let rank = |f: &Found| match &f.path[..] {
        [only] => usual(only),
        [outer, inner] => usual(outer).min(usual(inner)).filter(|_| usual(outer).is_some()),
        _ => None,
    };
    let best = (0..found.len()).filter_map(|i| Some((rank(&found[i])?, found[i].path.len(), i))).min();
    match (best, found.len()) {
        (Some((.., at)), n) => {
            let taken = found.swap_remove(at);
            let others: Vec<_> = found.iter().take(SHOWN).map(|f| format!("`{}`", path(f))).collect();
            let more = if found.len() > SHOWN { ", ..." } else { "" };
            let note = || {
                format!(
                    "the weights under `{}` were taken, not those under {}{more}",
                    path(&taken),
                    others.join(", ")
                )
            };
            let note = (n > 1).then(note);
            Ok((taken.tensors, note))
        }
        (None, 1) => Ok((found.swap_remove(0).tensors, None)),
        (None, 0) => Err(format!(
            "it holds {} where a dictionary of named tensors was to come; save a state_dict",
            object.describe()
        )),
        (None, n) => {
            let mut paths: Vec<_> = found.iter().take(SHOWN).map(path).collect();
            paths.extend((n > SHOWN).then(|| "...".to_owned()));
            Err(format!("it holds several state dicts ({}); save one of them alone", paths.join(", ")))
        }
    }
}

/// The keys that lead to a state dict, in words.
fn path(found: &Found) -> String {
    match found.path[..] {
        [] => "the outermost".to_owned(),
        _ => found.path.join("."),
    }
}

fn search(
    machine: &Machine<TorchGlobals>,
    value: &TorchValue,
    path: &mut Vec<Rc<str>>,
    seen: &mut HashSet<usize>,
    found: &mut Vec<Found>,
) -> Result<(), String> {
    let Value::Dict(place) = value else { return Ok(()) };
    // A dictionary may hold itself.
    if path.len() > DEPTH || !seen.insert(*place) {
        return Ok(());
    }
    let keys = machine
        .dict(*place)
        .iter()
        .filter_map(|(key, _)| if let Value::Text(key) = key { Some(&**key) } else { None });
    if let Some(key) = repeated(keys) {
        return Err(format!("a dictionary names `{key}` twice"));
    }
    let mut tensors = Views::new();
    for (key, value) in machine.dict(*place) {
        let Value::Text(key) = key else { continue };
        match value {
            Value::Object(TorchObject::Tensor(view)) => {
                tensors.insert(key.clone(), view.clone());
            }
            _ => {
                path.push(key.clone());
                search(machine, value, path, seen, found)?;
                path.pop();
            }
        }
    }
    if !tensors.is_empty() {
        found.push(Found { path: path.clone(), tensors });
    }
    Ok(())
}

/// Class of every storage that the object views, by key: every tensor counts, an optimizer's too.
pub(super) fn storages(
    machine: &Machine<TorchGlobals>,
    object: &TorchValue,
) -> Result<HashMap<Rc<str>, Rc<str>>, String> {
    let mut kinds: HashMap<Rc<str>, Rc<str>> = HashMap::new();
    let mut todo = vec![object.clone()];
    let mut seen = HashSet::new();
    while let Some(value) = todo.pop() {
        match value {
            Value::Object(TorchObject::Tensor(view)) => {
                let (key, kind) = (&view.storage.key, &view.storage.kind);
                let known = kinds.entry(key.clone()).or_insert_with(|| kind.clone());
                if known != kind {
                    return Err(format!("storage `{key}` is both `{known}` and `{kind}`"));
                }
            }
            Value::Object(TorchObject::Storage(storage)) => {
                kinds.entry(storage.key.clone()).or_insert_with(|| storage.kind.clone());
            }
            Value::Dict(place) if seen.insert((0, place)) => {
                todo.extend(machine.dict(place).iter().map(|(_, value)| value.clone()));
            }
            Value::List(place) if seen.insert((1, place)) => todo.extend(machine.list(place).iter().cloned()),
            // A tuple is not a place in a table: the same one met often is one address.
            Value::Tuple(items, _) if seen.insert((2, items.as_ptr() as usize)) => {
                todo.extend(items.iter().cloned())
            }
            _ => {}
        }
    }
    Ok(kinds)
}
