//! Paths as they are written, and those inside macro calls, which the parser leaves as tokens.
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A path as it is written, and where.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

/// The words that introduce an item and come directly before its name.
const ITEM_WORDS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "static", "const"];

/// Every path in `tokens`, also inside brackets: `a`, `a::b`, `crate::a::b`. `$crate` is read as `crate`.
pub(super) fn paths(tokens: &TokenStream) -> Vec<Written> {
    let mut found = Vec::new();
    visit(tokens, &mut |level| {
        let mut at = 0;
        while at < level.len() {
            let before = at;
            let Some(path) = path_at(level, &mut at) else {
                at = before + 1;
                continue;
            };
            // `x.name` and `::name` are no names of this module, `name: x` is a field.
            let after = is_punct(level.get(before.wrapping_sub(1)), '.')
                || (before > 0 && is_punct(level.get(before - 1), ':'));
            let field = path.segments.len() == 1 && is_punct(level.get(at), ':');
            if !after && !field {
                found.push(path);
            }
        }
    });
    found
}

/// Names of the items that a macro call spells out, such as `f` in `macro! { fn f() {} }`.
pub(super) fn items(tokens: &TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    visit(tokens, &mut |level| {
        for pair in level.windows(2) {
            if let [TokenTree::Ident(word), TokenTree::Ident(name)] = pair
                && ITEM_WORDS.iter().any(|w| word == w)
            {
                found.push(name.to_string());
            }
        }
    });
    found
}

/// Calls `f` with the tokens of each bracket level.
fn visit(tokens: &TokenStream, f: &mut impl FnMut(&[TokenTree])) {
    let mut level = Vec::new();
    for token in tokens.clone() {
        match &token {
            // What a macro's own brackets without delimiter hold is part of the level around them.
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => level.extend(group.stream()),
            TokenTree::Group(group) => {
                visit(&group.stream(), f);
                level.push(token);
            }
            _ => level.push(token),
        }
    }
    f(&level);
}

/// The path that starts at `at`, which moves behind it.
fn path_at(level: &[TokenTree], at: &mut usize) -> Option<Written> {
    let TokenTree::Ident(first) = level.get(*at)? else { return None };
    let line = first.span().start().line;
    let mut segments = vec![first.to_string()];
    *at += 1;
    while joint(level.get(*at)) && is_punct(level.get(*at + 1), ':') {
        let Some(TokenTree::Ident(next)) = level.get(*at + 2) else { break };
        segments.push(next.to_string());
        *at += 3;
    }
    Some(Written { segments, line })
}

/// Whether the token is the first colon of `::`.
fn joint(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint)
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == wanted)
}
