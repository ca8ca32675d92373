//! Links in a tar: each stands for what it leads to in the same tar, never outside.
use super::entries::{Content, Held, Names};
use super::names::{self, Kind};
use super::passed_over::{PassedOver, Reason};

/// Links that are followed one after the other, at most: as many as Linux follows.
const STEPS: usize = 40;

/// Replaces each link by what it leads to; what leads nowhere, in a circle or out of the tar is counted and left out.
pub(super) fn resolve(held: &mut Names, passed: &mut PassedOver) {
    let mut resolved = Vec::new();
    for (name, link) in held.iter().filter(|(_, held)| is_link(held)) {
        match follow(held, name) {
            Ok(content) => resolved.push((name.clone(), Some(content))),
            Err(reason) => {
                let kind = Kind::of(names::stem(name).1);
                // Other names are counted already.
                if !names::is_hidden(name) && !matches!(kind, Kind::Other | Kind::OtherPicture) {
                    passed.add(reason, names::shown(&link.raw));
                }
                resolved.push((name.clone(), None));
            }
        }
    }
    for (name, content) in resolved {
        match (content, held.get_mut(&name)) {
            (Some(content), Some(link)) => link.content = content,
            _ => drop(held.remove(&name)),
        }
    }
}

fn is_link(held: &Held) -> bool {
    matches!(held.content, Content::HardLink(_) | Content::SymbolicLink(_))
}

/// What the link `name` leads to.
fn follow(held: &Names, name: &[u8]) -> Result<Content, Reason> {
    let mut at = name.to_vec();
    for _ in 0..STEPS {
        let target = match &held.get(&at).ok_or(Reason::DanglingLink)?.content {
            Content::HardLink(target) => names::normal(target),
            Content::SymbolicLink(target) if target.starts_with(b"/") => None,
            Content::SymbolicLink(target) => {
                let folder = at.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
                names::normal(&[&at[..folder], target].concat())
            }
            Content::Sparse => return Err(Reason::Sparse),
            Content::NotAFile => return Err(Reason::NotAFile),
            Content::Nothing => return Err(Reason::DanglingLink),
            content @ Content::Bytes { .. } => return Ok(content.clone()),
        };
        at = target.ok_or(Reason::Outside)?;
    }
    Err(Reason::DanglingLink)
}
