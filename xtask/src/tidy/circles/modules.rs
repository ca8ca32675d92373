//! The modules of one crate as its files declare them: what each defines, imports and names.
use super::super::{File, Tree};
use super::tokens::{self, Written};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// What a name stands for in the module that has it.
pub(super) enum Meaning {
    /// An item that the module defines.
    Item,
    /// A module that the module declares.
    Module(usize),
    /// A `use` of something else; `shared` where it is a re-export.
    Import { path: Written, shared: bool },
}

/// A module: a file, or a `mod name { .. }` inside one.
pub(super) struct Module {
    /// Number of its file.
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    pub(super) names: BTreeMap<String, Vec<Meaning>>,
    /// The paths of its glob imports, `use path::*`.
    pub(super) globs: Vec<Written>,
    /// Its items but modules, one by one.
    pub(super) parts: Vec<Part>,
}

/// An item of a module, with what it names.
#[derive(Default)]
pub(super) struct Part {
    /// The names it defines; none for an `impl`, several for a macro call that spells out items.
    pub(super) names: Vec<String>,
    /// Every path in it: of types, calls, patterns, and inside macro calls.
    pub(super) paths: Vec<Written>,
}

/// A crate without its tests. Module 0 is the root.
pub(super) struct Crate {
    pub(super) files: Vec<PathBuf>,
    pub(super) modules: Vec<Module>,
    /// Modules that define a `macro_rules!`, by its name: such names are visible in whatever comes after.
    pub(super) macros: BTreeMap<String, usize>,
    /// Files that could not be read as Rust: line and reason.
    pub(super) unreadable: Vec<(PathBuf, usize, String)>,
}

impl Crate {
    /// The crate whose root is the file `root`.
    pub(super) fn read(tree: &Tree, root: &File) -> Self {
        let mut krate =
            Self { files: Vec::new(), modules: Vec::new(), macros: BTreeMap::new(), unreadable: Vec::new() };
        let folder = root.path.parent().unwrap_or(Path::new("")).to_owned();
        krate.file(tree, root, None, &folder);
        krate
    }

    /// Adds the module that `file` is; its children are looked for in `folder`.
    fn file(&mut self, tree: &Tree, file: &File, parent: Option<usize>, folder: &Path) -> Option<usize> {
        let parsed = match syn::parse_file(&file.text) {
            Ok(parsed) => parsed,
            Err(e) => {
                self.unreadable.push((file.path.clone(), e.span().start().line, e.to_string()));
                return None;
            }
        };
        self.files.push(file.path.clone());
        let module = self.module(self.files.len() - 1, parent);
        self.items(tree, module, &parsed.items, folder);
        Some(module)
    }

    fn module(&mut self, file: usize, parent: Option<usize>) -> usize {
        let (names, globs, parts) = (BTreeMap::new(), Vec::new(), Vec::new());
        self.modules.push(Module { file, parent, names, globs, parts });
        self.modules.len() - 1
    }

    fn items(&mut self, tree: &Tree, module: usize, items: &[Item], folder: &Path) {
        for item in items.iter().filter(|i| !is_test(attributes(i))) {
            if let Item::Mod(declared) = item {
                let name = declared.ident.to_string();
                let below = folder.join(&name);
                let child = if let Some((_, inside)) = &declared.content {
                    let child = self.module(self.modules[module].file, Some(module));
                    self.items(tree, child, inside, &below);
                    Some(child)
                } else {
                    let files = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                    let file = files.iter().find_map(|path| tree.get(path));
                    file.and_then(|file| self.file(tree, file, Some(module), &below))
                };
                let meaning = child.map_or(Meaning::Item, Meaning::Module);
                self.modules[module].names.entry(name).or_default().push(meaning);
                continue;
            }
            let mut reader = Reader { module: &mut self.modules[module], part: Part::default() };
            reader.define(item);
            reader.visit_item(item);
            let part = reader.part;
            self.modules[module].parts.push(part);
            if let Some(name) = macro_name(item) {
                self.macros.entry(name).or_insert(module);
            }
        }
    }
}

/// Reads one item of a module.
struct Reader<'a> {
    module: &'a mut Module,
    part: Part,
}

impl Reader<'_> {
    fn name(&mut self, name: String, meaning: Meaning) {
        self.module.names.entry(name).or_default().push(meaning);
    }

    /// The names that `item` gives the module.
    fn define(&mut self, item: &Item) {
        self.part.names.extend(name(item));
        if let Item::Macro(call) = item {
            self.part.names.extend(tokens::items(&call.mac.tokens));
        }
        for name in self.part.names.clone() {
            self.name(name, Meaning::Item);
        }
    }

    /// The imports that a tree of `use` makes.
    fn import(&mut self, tree: &UseTree, before: &[String], shared: bool) {
        let with = |name: &syn::Ident| {
            let mut segments = before.to_vec();
            if name != "self" || before.is_empty() {
                segments.push(name.to_string());
            }
            Written { segments, line: name.span().start().line }
        };
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident).segments, shared),
            UseTree::Group(group) => group.items.iter().for_each(|t| self.import(t, before, shared)),
            UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                self.module.globs.push(Written { segments: before.to_vec(), line });
            }
            UseTree::Name(name) => {
                let path = with(&name.ident);
                let name = path.segments.last().cloned().unwrap_or_default();
                self.name(name, Meaning::Import { path, shared });
            }
            UseTree::Rename(name) => {
                let path = with(&name.ident);
                self.name(name.rename.to_string(), Meaning::Import { path, shared });
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        if import.leading_colon.is_none() {
            let shared = !matches!(import.vis, Visibility::Inherited);
            self.import(&import.tree, &[], shared);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let (None, Some(first)) = (&path.leading_colon, path.segments.first()) {
            let segments = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.part.paths.push(Written { segments, line: first.ident.span().start().line });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.part.paths.extend(tokens::paths(&call.tokens));
        visit::visit_macro(self, call);
    }

    // Names in attributes and in `pub(in path)` are no use of anything.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// The name under which the module knows `item`; a `use` has its own.
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(i) => &i.ident,
        Item::Enum(i) => &i.ident,
        Item::Fn(i) => &i.sig.ident,
        Item::Static(i) => &i.ident,
        Item::Struct(i) => &i.ident,
        Item::Trait(i) => &i.ident,
        Item::TraitAlias(i) => &i.ident,
        Item::Type(i) => &i.ident,
        Item::Union(i) => &i.ident,
        _ => return macro_name(item),
    };
    Some(ident.to_string())
}

/// The name of a `macro_rules!`.
fn macro_name(item: &Item) -> Option<String> {
    match item {
        Item::Macro(i) => i.ident.as_ref().map(ToString::to_string),
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// Whether only tests have the item: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, ..))]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("test")
            || (a.path().is_ident("cfg")
                && a.meta.require_list().is_ok_and(|list| needs_test(list.tokens.clone())))
    })
}

/// Whether a `cfg` condition holds in tests only.
fn needs_test(condition: TokenStream) -> bool {
    let tokens: Vec<_> = condition.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(inside)] if word == "all" => {
            let inside: Vec<_> = inside.stream().into_iter().collect();
            inside
                .split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ','))
                .any(|part| needs_test(part.iter().cloned().collect()))
        }
        _ => false,
    }
}
