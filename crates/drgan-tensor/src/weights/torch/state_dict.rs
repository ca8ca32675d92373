//! Where the tensors are in a pickled object.
use super::pickle::{Machine, Value, View, describe};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Keys under which training scripts put the network, best first.
const USUAL: [&str; 6] = ["state_dict", "model_state_dict", "model", "net", "netG", "params"];

/// Dictionaries within dictionaries beyond this depth are not looked at.
const DEPTH: usize = 8;

/// A dictionary that holds tensors itself: its path and they.
struct Found {
    path: Vec<String>,
    tensors: BTreeMap<String, Rc<View>>,
}

/// The state dict of an object: the object itself, or the one dictionary of tensors inside that is no optimizer's.
pub(super) fn find(machine: &Machine, object: &Value) -> Result<BTreeMap<String, Rc<View>>, String> {
    let mut found = Vec::new();
    search(machine, object, &mut Vec::new(), &mut HashSet::new(), &mut found);
    if let Some(root) = found.iter().position(|f| f.path.is_empty()) {
        return Ok(found.swap_remove(root).tensors);
    }
    found.retain(|f| !f.path.iter().any(|part| part.to_lowercase().contains("optim")));
    let usual = USUAL.iter().find_map(|key| found.iter().position(|f| f.path == [*key]));
    match (usual, found.len()) {
        (Some(at), _) => Ok(found.swap_remove(at).tensors),
        (None, 1) => Ok(found.swap_remove(0).tensors),
        (None, 0) => Err(format!("it holds {} without tensors", describe(object))),
        (None, _) => {
            let paths: Vec<_> = found.iter().map(|f| f.path.join(".")).collect();
            Err(format!("it holds several state dicts ({}); save one of them alone", paths.join(", ")))
        }
    }
}

fn search(
    machine: &Machine,
    value: &Value,
    path: &mut Vec<String>,
    seen: &mut HashSet<usize>,
    found: &mut Vec<Found>,
) {
    let Value::Dict(place) = value else { return };
    // A dictionary may hold itself.
    if path.len() > DEPTH || !seen.insert(*place) {
        return;
    }
    let mut tensors = BTreeMap::new();
    for (key, value) in machine.dict(*place) {
        let Value::Text(key) = key else { continue };
        match value {
            Value::Tensor(view) => {
                tensors.insert(key.to_string(), view.clone());
            }
            _ => {
                path.push(key.to_string());
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
