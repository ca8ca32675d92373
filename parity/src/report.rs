//! The table of comparisons and what became of each.
use crate::measure::relative_error;
use candle_core::Tensor;
use std::fmt;

/// What became of one comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Both are there: the largest relative error, and how large it may be.
    Compared {
        /// Largest relative error that was found.
        error: f64,
        /// Largest error that is allowed.
        tolerance: f64,
    },
    /// All that was looked for is there; nothing was measured.
    Present,
    /// Something is wrong, for this reason; nothing was measured.
    Failed(String),
    /// The comparison was left out, for this reason.
    Skipped(String),
}

impl Outcome {
    /// Whether the outcome says that something is wrong.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Compared { error, tolerance } => error > tolerance,
            Self::Failed(_) => true,
            Self::Present | Self::Skipped(_) => false,
        }
    }
}

/// One comparison of a golden file, a line of the report's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name of the golden file.
    pub case: String,
    /// Name of the tensor, or what else of the file was compared.
    pub tensor: String,
    /// What became of the comparison.
    pub outcome: Outcome,
}

impl Row {
    pub(crate) fn compared(tensor: &str, got: &Tensor, want: &Tensor, tolerance: f64) -> Self {
        match relative_error(got, want) {
            Ok(error) => Self::new(tensor, Outcome::Compared { error, tolerance }),
            Err(e) => Self::failed(tensor, e.to_string()),
        }
    }

    /// A failed row with the first line of `why`, which a stack trace may follow.
    pub(crate) fn failed(tensor: &str, why: String) -> Self {
        Self::new(tensor, Outcome::Failed(why.lines().next().unwrap_or_default().to_owned()))
    }

    pub(crate) fn skipped(tensor: &str, why: String) -> Self {
        Self::new(tensor, Outcome::Skipped(why))
    }

    pub(crate) fn new(tensor: &str, outcome: Outcome) -> Self {
        Self { case: String::new(), tensor: tensor.to_owned(), outcome }
    }

    pub(crate) fn of(self, case: &str) -> Self {
        Self { case: case.to_owned(), ..self }
    }
}

/// All comparisons, shown as a table.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Remarks on the folder as a whole.
    pub notes: Vec<String>,
    /// The comparisons, one per tensor.
    pub rows: Vec<Row>,
}

impl Report {
    /// Number of rows that failed.
    pub fn failures(&self) -> usize {
        self.rows.iter().filter(|r| r.outcome.is_failure()).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> &str, title: &str| {
            self.rows.iter().map(|r| of(r).chars().count()).chain([title.len()]).max().unwrap_or(0)
        };
        let (case, tensor) = (width(|r| &r.case, "case"), width(|r| &r.tensor, "tensor"));
        writeln!(f, "{:case$}  {:tensor$}  {:>9}  {:>9}  verdict", "case", "tensor", "error", "tolerance")?;
        for row in &self.rows {
            write!(f, "{:case$}  {:tensor$}  ", row.case, row.tensor)?;
            match &row.outcome {
                Outcome::Compared { error, tolerance } => {
                    let outcome = if row.outcome.is_failure() { "FAIL" } else { "ok" };
                    writeln!(f, "{error:9.1e}  {tolerance:9.0e}  {outcome}")?;
                }
                Outcome::Present => writeln!(f, "{:>9}  {:>9}  present", "-", "-")?,
                Outcome::Failed(why) => writeln!(f, "{:>9}  {:>9}  FAIL: {why}", "-", "-")?,
                Outcome::Skipped(why) => writeln!(f, "{:>9}  {:>9}  skipped: {why}", "-", "-")?,
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let skipped = self.rows.iter().filter(|r| matches!(r.outcome, Outcome::Skipped(_))).count();
        let failed = self.failures();
        write!(f, "{} compared, {failed} failed, {skipped} skipped", self.rows.len() - skipped)
    }
}
