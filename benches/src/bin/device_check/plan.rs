//! What a part consists of, and how it is worked through: item by item, what is found kept at once.
use crate::clock::Clock;
use crate::options::Part;
use crate::results::{Checked, Item, Outcome, Results};
use anyhow::Result;
use drgan_tensor::device::DeviceRequest;
use drgan_terminal::{passing, remark};
use serde_json::Value;
use std::path::PathBuf;
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
    again: bool,
    plan: impl FnOnce(&Check) -> Result<Plan<'static>>,
) -> Result<Results> {
    let (name, fresh) = (part.name(), Results::new(part, &check.device, check.quick));
    let mut results = match Results::kept(&check.out, &fresh) {
        Some(kept) if !again && kept.is_finished() => {
            remark(format!("{name}: {} by an earlier call; --again does it again", kept.state().word()));
            return Ok(kept);
        }
        Some(kept) if !again => kept,
        _ => fresh,
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
    let mut kept = Instant::now();
    for item in todo {
        if clock.over().is_some() {
            break;
        }
        passing(format!("{name}: {:<60}", item.name));
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
    fn a_second_call_does_what_is_left_and_a_third_nothing() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (check, mut clock) = (check(folder.path()), Clock::lasting(Duration::from_secs(60)));
        let done = Rc::new(RefCell::new(Vec::new()));
        let mut call = |in_time: bool, again: bool| {
            run(Part::Golden, &check, &mut clock, again, |_| Ok(three(&done, in_time)))
        };
        let first = call(false, false)?;
        assert_eq!((first.left, first.items.len()), (vec!["third".to_owned()], 2));
        let second = call(true, false)?;
        assert_eq!(second.failures(), [("second", "wrong")]);
        assert_eq!(second.state(), State::Failed);
        assert_eq!(call(true, false)?.items, second.items);
        assert_eq!(*done.borrow(), ["first", "second", "third", "third"]);
        call(true, true)?;
        assert_eq!(done.borrow().len(), 7);
        Ok(())
    }

    #[test]
    fn a_part_without_time_says_what_is_left() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut clock = Clock::lasting(Duration::ZERO);
        let done = Rc::default();
        let results =
            run(Part::Golden, &check(folder.path()), &mut clock, false, |_| Ok(three(&done, true)))?;
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
        let failed = run(Part::Train, &check, &mut clock, false, |_| anyhow::bail!("no memory"))?;
        assert_eq!(failed.failures(), [("train", "no memory")]);
        let skipped = run(Part::Peer, &check, &mut clock, false, |_| Ok(Plan::Skipped("no Python".into())))?;
        assert_eq!(skipped.state(), State::Skipped);
        Ok(())
    }
}
