//! Where the tensors are in a pickled object.
use super::objects::View;
use super::pickle::{Machine, Value, describe};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Keys under which training scripts put the network, best first.
const USUAL: [&str; 5] = ["state_dict", "model_state_dict", "model", "net", "params"];

/// Dictionaries within dictionaries beyond this depth are not looked at.
const DEPTH: usize = 8;

/// How many of several state dicts an error names.
const SHOWN: usize = 8;

/// Tensors by name. Names stay shared with the pickle: one that a hostile file gives to thousands of dictionaries is held once.
pub(super) type Views = BTreeMap<Rc<str>, Rc<View>>;

/// A dictionary that holds tensors itself: its path and they.
struct Found {
    path: Vec<Rc<str>>,
    tensors: Views,
}

/// The state dict of an object: under a usual key, or else the one dictionary of tensors that is no optimizer's.
pub(super) fn find(machine: &Machine, object: &Value) -> Result<Views, String> {
    let mut found = Vec::new();
    search(machine, object, &mut Vec::new(), &mut HashSet::new(), &mut found);
    found.retain(|f| !f.path.iter().any(|part| part.to_lowercase().contains("optim")));
    let at = |key: &str| found.iter().position(|f| matches!(&f.path[..], [only] if **only == *key));
    match (USUAL.iter().find_map(|key| at(key)), found.len()) {
        (Some(at), _) => Ok(found.swap_remove(at).tensors),
        (None, 1) => Ok(found.swap_remove(0).tensors),
        (None, 0) => Err(format!(
            "it holds {} where a dictionary of named tensors was to come; save a state_dict",
            describe(object)
        )),
        (None, n) => {
            let path = |f: &Found| match f.path[..] {
                [] => "the outermost".to_owned(),
                _ => f.path.join("."),
            };
            let mut paths: Vec<_> = found.iter().take(SHOWN).map(path).collect();
            paths.extend((n > SHOWN).then(|| "...".to_owned()));
            Err(format!("it holds several state dicts ({}); save one of them alone", paths.join(", ")))
        }
    }
}

fn search(
    machine: &Machine,
    value: &Value,
    path: &mut Vec<Rc<str>>,
    seen: &mut HashSet<usize>,
    found: &mut Vec<Found>,
) {
    let Value::Dict(place) = value else { return };
    // A dictionary may hold itself.
    if path.len() > DEPTH || !seen.insert(*place) {
        return;
    }
    let mut tensors = Views::new();
    for (key, value) in machine.dict(*place) {
        let Value::Text(key) = key else { continue };
        match value {
            Value::Tensor(view) => {
                tensors.insert(key.clone(), view.clone());
            }
            _ => {
                path.push(key.clone());
                search(machine, value, path, seen, found);
                path.pop();
            }
        }
    }
    if !tensors.is_empty() {
        found.push(Found { path: path.clone(), tensors });
    }
}

/// Class of every storage that the object views, by key: every tensor counts, an optimizer's too.
pub(super) fn storages(machine: &Machine, object: &Value) -> Result<HashMap<Rc<str>, Rc<str>>, String> {
    let mut kinds: HashMap<Rc<str>, Rc<str>> = HashMap::new();
    let mut todo = vec![object.clone()];
    let mut seen = HashSet::new();
    while let Some(value) = todo.pop() {
        match value {
            Value::Tensor(view) => {
                let (key, kind) = (&view.storage.key, &view.storage.kind);
                let known = kinds.entry(key.clone()).or_insert_with(|| kind.clone());
                if known != kind {
                    return Err(format!("storage `{key}` is both `{known}` and `{kind}`"));
                }
            }
            Value::Storage(storage) => {
                kinds.entry(storage.key.clone()).or_insert_with(|| storage.kind.clone());
            }
            Value::Dict(place) if seen.insert((0, place)) => {
                todo.extend(machine.dict(place).iter().map(|(_, value)| value.clone()));
            }
            Value::List(place) if seen.insert((1, place)) => todo.extend(machine.list(place).iter().cloned()),
            // A tuple is no place in a table: the same one met often is one address.
            Value::Tuple(items, _) if seen.insert((2, items.as_ptr() as usize)) => {
                todo.extend(items.iter().cloned())
            }
            _ => {}
        }
    }
    Ok(kinds)
}
