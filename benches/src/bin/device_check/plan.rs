//! What a part consists of, and how it is worked through: item by item, what is found kept at once.
use crate::clock::Clock;
use crate::options::Part;
use crate::results::{Checked, Item, Outcome, Results};
use anyhow::Result;
use drgan_tensor::device::DeviceRequest;
use drgan_terminal::{passing, remark};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What every part is given.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) request: DeviceRequest,
    pub(crate) device: Checked,
    pub(crate) quick: bool,
    /// The folder of results.
    pub(crate) out: PathBuf,
}

/// What one item found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) outcome: Outcome,
    pub(crate) figures: Value,
}

impl Found {
    pub(crate) fn passed(figures: Value) -> Self {
        Self { outcome: Outcome::Passed, figures }
    }

    /// Failed where there are reasons, else passed.
    pub(crate) fn unless(reasons: &[String], figures: Value) -> Self {
        if reasons.is_empty() {
            return Self::passed(figures);
        }
        Self { outcome: Outcome::Failed(reasons.join("; ")), figures }
    }
}

/// Work that finds something; `None` where its time was over before it was done.
type Run<'a> = Box<dyn FnOnce(&Clock) -> Result<Option<Found>> + 'a>;

/// An item of a part.
pub(crate) struct Planned<'a> {
    pub(crate) name: String,
    run: Run<'a>,
}

impl<'a> Planned<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl FnOnce(&Clock) -> Result<Option<Found>> + 'a,
    ) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// What is to be done of a part.
pub(crate) enum Plan<'a> {
    Items(Vec<Planned<'a>>),
    /// Nothing, for this reason.
    Skipped(String),
}

/// The file of the results' folder that names the part and the item that is worked on.
const RUNNING: &str = "running";

/// The part and the item that a program was working on when it was ended; none where it ended by itself.
pub(crate) fn running(folder: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(folder.join(RUNNING)).ok()?;
    text.split_once('\n').map(|(part, item)| (part.to_owned(), item.to_owned()))
}

/// Forgets what is worked on.
pub(crate) fn nothing_runs(folder: &Path) {
    drop(std::fs::remove_file(folder.join(RUNNING)));
}

/// Sees to it that what has failed is done again or, if `again`, all of the part; says so where earlier results are not of what is
/// checked now.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn begin(part: Part, check: &Check, again: bool) -> Result<()> {
    let (name, fresh) = (part.name(), Results::new(part, &check.device, check.quick));
    if let Some(why) = Results::not_continued(&check.out, &fresh) {
        remark(format!("{name}: begun anew: {why}"));
    }
    match Results::kept(&check.out, &fresh) {
        Some(mut kept) if !again => {
            if !kept.failures().is_empty() {
                kept.try_failures_again();
                kept.keep(&check.out)?;
            }
            Ok(())
        }
        _ => match std::fs::remove_file(Results::path(&check.out, &name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        },
    }
}

/// How often results are written while items are done.
const KEPT_EVERY: Duration = Duration::from_secs(1);

/// Does what is left of a part, and keeps what it finds in the folder of results.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn run(
    part: Part,
    check: &Check,
    clock: &mut Clock,
    plan: impl FnOnce(&Check) -> Result<Plan<'static>>,
) -> Result<Results> {
    let (name, fresh) = (part.name(), Results::new(part, &check.device, check.quick));
    let mut results = match Results::kept(&check.out, &fresh) {
        Some(kept) if kept.is_finished() => {
            remark(format!("{name}: {} already; --again does it again", kept.state().word()));
            return Ok(kept);
        }
        Some(kept) => kept,
        None => fresh,
    };
    clock.next_part();
    let began = Instant::now();
    let items = match plan(check) {
        Ok(Plan::Items(items)) => items,
        Ok(Plan::Skipped(why)) => {
            remark(format!("{name}: skipped: {why}"));
            results = results.whole(Outcome::Skipped(why));
            Vec::new()
        }
        Err(e) => {
            remark(format!("{name}: FAILED: {e:#}"));
            results = results.whole(Outcome::Failed(format!("{e:#}")));
            Vec::new()
        }
    };
    let todo: Vec<Planned<'_>> =
        items.into_iter().filter(|item| !results.items.iter().any(|done| done.name == item.name)).collect();
    results.left = todo.iter().map(|item| item.name.clone()).collect();
    let before = results.seconds;
    results.keep(&check.out)?;
    let mut kept = Instant::now();
    for item in todo {
        if clock.over().is_some() {
            break;
        }
        passing(format!("{name}: {:<60}", item.name));
        std::fs::write(check.out.join(RUNNING), format!("{name}\n{}", item.name))?;
        let found = match (item.run)(clock) {
            Ok(None) => break,
            Ok(Some(found)) => found,
            Err(e) => Found { outcome: Outcome::Failed(format!("{e:#}")), figures: Value::Null },
        };
        results.left.retain(|left| *left != item.name);
        results.items.push(Item { name: item.name, outcome: found.outcome, figures: found.figures });
        results.seconds = before + began.elapsed().as_secs_f64();
        if kept.elapsed() > KEPT_EVERY {
            results.keep(&check.out)?;
            kept = Instant::now();
        }
    }
    nothing_runs(&check.out);
    results.seconds = before + began.elapsed().as_secs_f64();
    results.keep(&check.out)?;
    passing(format!("{:<76}\r", ""));
    let left = match results.left.len() {
        0 => String::new(),
        n => format!(", {n} left: {}", clock.over().unwrap_or("its time is over")),
    };
    remark(format!("{name}: {} in {:.1} s{left}", results.state().word(), began.elapsed().as_secs_f64()));
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{State, tests_device};
    use serde_json::json;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn check(out: &std::path::Path) -> Check {
        Check { request: DeviceRequest::Cpu, device: tests_device(), quick: true, out: out.to_owned() }
    }

    /// A part of three items, of which the second fails and, on a first call, time is over before the third.
    fn three(done: &Rc<RefCell<Vec<&'static str>>>, in_time: bool) -> Plan<'static> {
        let item = |name: &'static str, found: fn() -> Result<Option<Found>>| {
            let done = done.clone();
            Planned::new(name, move |_: &Clock| {
                done.borrow_mut().push(name);
                found()
            })
        };
        let third = if in_time { || Ok(Some(Found::passed(json!(3)))) } else { || Ok(None) };
        Plan::Items(vec![
            item("first", || Ok(Some(Found::passed(json!(1))))),
            item("second", || anyhow::bail!("wrong")),
            item("third", third),
        ])
    }

    #[test]
    fn a_second_call_does_what_is_left_and_what_has_failed() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (check, mut clock) = (check(folder.path()), Clock::lasting(Duration::from_secs(60)));
        let done = Rc::new(RefCell::new(Vec::new()));
        let mut call = |in_time: bool, again: bool| {
            begin(Part::Golden, &check, again)?;
            run(Part::Golden, &check, &mut clock, |_| Ok(three(&done, in_time)))
        };
        let first = call(false, false)?;
        assert_eq!((first.left, first.items.len()), (vec!["third".to_owned()], 2));
        let second = call(true, false)?;
        assert_eq!(second.failures(), [("second", "wrong")]);
        assert_eq!(second.state(), State::Failed);
        assert_eq!(running(folder.path()), None);
        assert_eq!(*done.borrow(), ["first", "second", "third", "second", "third"]);
        call(true, false)?;
        assert_eq!(done.borrow()[5..], ["second"]);
        call(true, true)?;
        assert_eq!(done.borrow().len(), 9);
        Ok(())
    }

    #[test]
    fn what_runs_is_known_while_it_runs_and_a_part_goes_on_behind_what_died() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (check, mut clock) = (check(folder.path()), Clock::lasting(Duration::from_secs(60)));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let two = || {
            let item = |name: &'static str| {
                let (seen, folder) = (seen.clone(), folder.path().to_owned());
                Planned::new(name, move |_: &Clock| {
                    seen.borrow_mut().extend(running(&folder));
                    Ok(Some(Found::passed(json!(1))))
                })
            };
            Plan::Items(vec![item("first"), item("second")])
        };
        let mut results = Results::new(Part::Golden, &check.device, true);
        results.died("first", "ended".into());
        results.left = vec!["second".into()];
        results.keep(folder.path())?;
        let found = run(Part::Golden, &check, &mut clock, |_| Ok(two()))?;
        assert_eq!(*seen.borrow(), [("golden".to_owned(), "second".to_owned())]);
        assert_eq!((found.failures(), found.items.len()), (vec![("first", "ended")], 2));
        Ok(())
    }

    #[test]
    fn a_part_without_time_says_what_is_left() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut clock = Clock::lasting(Duration::ZERO);
        let done = Rc::default();
        let results = run(Part::Golden, &check(folder.path()), &mut clock, |_| Ok(three(&done, true)))?;
        assert_eq!(results.left, ["first", "second", "third"]);
        assert_eq!(results.state(), State::Unfinished);
        assert!(done.borrow().is_empty());
        Ok(())
    }

    #[test]
    fn a_part_that_cannot_begin_has_failed_and_one_that_need_not_is_skipped() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut clock = Clock::lasting(Duration::from_secs(60));
        let check = check(folder.path());
        let failed = run(Part::Train, &check, &mut clock, |_| anyhow::bail!("no memory"))?;
        assert_eq!(failed.failures(), [("train", "no memory")]);
        let skipped = run(Part::Peer, &check, &mut clock, |_| Ok(Plan::Skipped("no Python".into())))?;
        assert_eq!(skipped.state(), State::Skipped);
        Ok(())
    }
}
