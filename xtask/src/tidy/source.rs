//! Rust text without what is not code.

/// The lines of `text` with comments removed and the contents of string and character literals blanked.
pub(super) fn code_lines(text: &str) -> Vec<String> {
    let mut out = String::with_capacity(text.len());
    for (part, kind) in parts(text) {
        match kind {
            Kind::Code => out.push_str(part),
            Kind::Comment | Kind::Literal => {
                out.push(' ');
                out.extend(part.chars().filter(|c| *c == '\n'));
            }
        }
    }
    out.lines().map(str::to_owned).collect()
}

/// String and character literals as they are written, with the line each begins on.
pub(super) fn strings(text: &str) -> Vec<(usize, &str)> {
    let mut line = 1;
    let mut found = Vec::new();
    for (part, kind) in parts(text) {
        if kind == Kind::Literal {
            found.push((line, part));
        }
        line += part.matches('\n').count();
    }
    found
}

/// The lines before the tests that a file ends with.
pub(super) fn before_tests(code: &[String]) -> &[String] {
    let test =
        |pair: &[String]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    &code[..code.windows(2).position(test).unwrap_or(code.len())]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// `text` in pieces: a comment, a literal, or one character of code each.
fn parts(text: &str) -> impl Iterator<Item = (&str, Kind)> {
    let (mut rest, mut previous) = (text, ' ');
    std::iter::from_fn(move || {
        let c = rest.chars().next()?;
        let literal = || {
            let raw = (!is_word(previous)).then(|| raw_string(rest)).flatten();
            raw.or_else(|| quoted(rest, '"')).or_else(|| character(rest))
        };
        let (length, kind) = if let Some(length) = comment(rest) {
            (length, Kind::Comment)
        } else if let Some(length) = literal() {
            (length, Kind::Literal)
        } else {
            (c.len_utf8(), Kind::Code)
        };
        let (part, tail) = rest.split_at(length);
        (previous, rest) = (c, tail);
        Some((part, kind))
    })
}

/// Whether `c` may be part of a name.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in `line` on its own.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_word)
            && !line[at + word.len()..].chars().next().is_some_and(is_word)
    })
}

/// Length of the comment that `s` starts with.
fn comment(s: &str) -> Option<usize> {
    if s.starts_with("//") {
        return Some(s.find('\n').unwrap_or(s.len()));
    }
    if !s.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while at < s.len() {
        let step = match s.get(at..at + 2) {
            Some("/*") => (1, 2),
            Some("*/") => (-1, 2),
            _ => (0, s[at..].chars().next().map_or(1, char::len_utf8)),
        };
        depth += step.0;
        at += step.1;
        if depth == 0 {
            return Some(at);
        }
    }
    Some(s.len())
}

/// Length of the raw string that `s` starts with.
fn raw_string(s: &str) -> Option<usize> {
    let body = s.strip_prefix("br").or_else(|| s.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let content = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = content.find(&close).map_or(content.len(), |i| i + close.len());
    Some(s.len() - content.len() + end)
}

/// Length of the literal between `quote`s that `s` starts with.
fn quoted(s: &str, quote: char) -> Option<usize> {
    let mut chars = s.strip_prefix(quote)?.char_indices();
    while let Some((i, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(i + 2);
        }
    }
    Some(s.len())
}

/// Length of the character literal that `s` starts with; a lifetime is none.
fn character(s: &str) -> Option<usize> {
    let mut inside = s.strip_prefix('\'')?.chars();
    let first = inside.next()?;
    if first == '\\' { quoted(s, '\'') } else { (inside.next()? == '\'').then(|| first.len_utf8() + 2) }
}
