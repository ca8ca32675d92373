//! [`Fit`]: what a file lacks of a network, found by names and shapes alone.
use drgan_tensor::{Error, Result, Shapes};

/// How a file's tensors fit a network.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    /// The tensors that the network takes, with their shapes.
    pub needed: Shapes,
    /// Tensors that the network needs and the file lacks, or has in another shape: the name, with what was expected and
    /// found.
    pub missing: Vec<String>,
    /// Tensors of the file that the network does not take.
    pub left_over: Vec<String>,
}

impl Fit {
    /// Compares a file's names and shapes with a network's.
    pub fn new(needed: Shapes, found: &Shapes) -> Self {
        let mut missing = Vec::new();
        for (name, want) in &needed {
            match found.get(name) {
                Some(got) if got == want => {}
                Some(got) => missing.push(format!("{name}: expected {want:?}, the file has {got:?}")),
                None => missing.push(format!("{name} {want:?}")),
            }
        }
        let left_over = found.keys().filter(|name| !needed.contains_key(*name)).cloned().collect();
        Self { needed, missing, left_over }
    }

    /// # Errors
    /// [`Error::Weights`] unless the file holds exactly what the network takes.
    pub(crate) fn exact(self) -> Result<()> {
        if self.missing.is_empty() && self.left_over.is_empty() {
            return Ok(());
        }
        Err(Error::Weights { missing: self.missing, unexpected: self.left_over })
    }

    /// # Errors
    /// [`Error::File`] that counts what is missing of `network` and names the first.
    #[cfg(feature = "fs")]
    pub(crate) fn whole(&self, network: &str, path: &std::path::Path) -> Result<()> {
        match self.missing.first() {
            None => Ok(()),
            Some(first) => {
                let n = self.missing.len();
                let reason = format!("{n} tensors of a {network} are missing, first {first}");
                Err(Error::file(path, reason))
            }
        }
    }
}
