//! The log of a run that is continued: what is of a past that the run has left is cut off.
use crate::error::TrainError;
use drgan_tensor::Error;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

/// Cuts a log of one JSON object per line at the first line for which `left` holds, or that has no end; the number of lines that
/// were cut. One that is not there is as it should be.
///
/// # Errors
/// [`Error::File`]: the log cannot be read or cut.
pub(crate) fn cut(path: &Path, left: impl Fn(&Value) -> bool) -> Result<usize, TrainError> {
    let bad = |e: std::io::Error| Error::file_because(path, "cannot be cut to where the run continues", e);
    // Cutting is one step for the system: a crash leaves the whole log or the cut one.
    let file = match File::options().read(true).write(true).open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
        file => file.map_err(bad)?,
    };
    let (mut lines, mut line, mut end, mut cut) = (BufReader::new(&file), Vec::new(), 0, 0);
    loop {
        line.clear();
        let n = lines.read_until(b'\n', &mut line).map_err(bad)?;
        if n == 0 {
            break;
        }
        let torn = line.last() != Some(&b'\n');
        // A line that is no JSON was not written by a run, and says nothing of steps.
        if cut > 0 || torn || serde_json::from_slice(&line).is_ok_and(|line| left(&line)) {
            cut += 1;
        } else {
            end += n as u64;
        }
    }
    if cut > 0 {
        file.set_len(end).map_err(bad)?;
    }
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_step_and_a_torn_one_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let late = |step: u64| move |line: &Value| line["step"].as_u64().is_some_and(|s| s > step);
        assert_eq!(cut(&path, late(0)).unwrap(), 0);
        assert!(!path.exists());
        let log =
            "{\"text\":\"a\"}\n{\"step\":1}\nnot JSON\n{\"step\":2}\n{\"step\":3}\n{\"text\":\"b\"}\n{\"st";
        let until = |n: usize| log.split_inclusive('\n').take(n).collect::<String>();
        for (step, kept, dropped) in [(9, 6, 1), (3, 6, 1), (2, 4, 3), (1, 3, 4), (0, 1, 6)] {
            std::fs::write(&path, log).unwrap();
            assert_eq!(cut(&path, late(step)).unwrap(), dropped, "{step}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), until(kept), "{step}");
            assert_eq!(cut(&path, late(step)).unwrap(), 0);
        }
    }
}
