//! Golden files: their tensors and metadata, and which of them were compared.
use crate::report::Row;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor, Var};
use drgan_tensor::VarBuilder;
use drgan_tensor::testing::Fill;
use drgan_tensor::weights::safetensors;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One golden file. It records which of its tensors were used, so that none is overlooked.
#[derive(Debug)]
pub struct Golden {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
    device: Device,
    used: RefCell<BTreeSet<String>>,
}

impl Golden {
    /// Reads a golden file onto a device.
    ///
    /// # Errors
    /// Not a whole safetensors file.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let (tensors, metadata) = safetensors::from_bytes(&bytes, path, device)?;
        Ok(Self { tensors, metadata, device: device.clone(), used: RefCell::default() })
    }

    /// A tensor that must be there.
    ///
    /// # Errors
    /// There is no tensor of that name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.used.borrow_mut().insert(name.to_owned());
        self.tensors.get(name).with_context(|| format!("the file has no tensor `{name}`"))
    }

    /// A tensor that may be there.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.used.borrow_mut().insert(name.to_owned());
        self.tensors.get(name)
    }

    /// An integer vector, e.g. lengths.
    ///
    /// # Errors
    /// It is not there, or not a vector.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>> {
        Ok(self.get(name)?.to_dtype(DType::I64)?.to_vec1()?)
    }

    /// The mask of padding words for captions of `words`, `(B, T)`: 1 at padding. A mask for longer captions is cut, if it is
    /// padding that is cut.
    ///
    /// # Errors
    /// It is not there, or not a matrix; words are cut.
    pub fn mask(&self, words: &Tensor) -> Result<Tensor> {
        let (mask, t) = (self.get("mask")?.to_dtype(DType::U8)?, words.dim(2)?);
        let surplus = mask.dim(1)?.saturating_sub(t);
        if surplus == 0 {
            return Ok(mask);
        }
        let cut: Vec<Vec<u8>> = mask.narrow(1, t, surplus)?.to_vec2()?;
        if cut.iter().flatten().any(|padding| *padding == 0) {
            bail!("`mask` has words beyond the {t} of `words`");
        }
        Ok(mask.narrow(1, 0, t)?)
    }

    /// A tensor as a variable, to differentiate by.
    ///
    /// # Errors
    /// There is no tensor of that name.
    pub fn var(&self, name: &str) -> Result<Var> {
        Ok(Var::from_tensor(self.get(name)?)?)
    }

    /// A number of the metadata, if it is there.
    ///
    /// # Errors
    /// The metadata has it, but it is not a number.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.metadata.get(key) else { return Ok(None) };
        let number = text.parse().ok().with_context(|| format!("metadata `{key}`: `{text}` is no number"))?;
        Ok(Some(number))
    }

    /// The rule that fills the weights of this file's network.
    pub fn fill(&self, salt: &str, default_prefix: &str) -> Fill {
        Fill::new(salt, self.metadata.get("fill_prefix").map_or(default_prefix, String::as_str))
    }

    /// The device that its tensors are on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Weights that follow the rule, on the file's device.
    pub fn weights(&self, salt: &str, default_prefix: &str) -> VarBuilder<'static> {
        self.fill(salt, default_prefix).builder().set_device(self.device.clone())
    }

    /// One row for each of the given tensors that the file has; at least one must be there.
    ///
    /// # Errors
    /// None of them is there.
    pub fn compare(&self, got: &[(&str, &Tensor)], tolerance: f64) -> Result<Vec<Row>> {
        let rows: Vec<Row> = got
            .iter()
            .filter_map(|(name, got)| Some(Row::compared(name, got, self.find(name)?, tolerance)))
            .collect();
        if rows.is_empty() {
            let names: Vec<_> = got.iter().map(|(name, _)| *name).collect();
            bail!("the file has none of the tensors {}", names.join(", "));
        }
        Ok(rows)
    }

    /// Rows of the gradients that the file has of `loss` by each variable: `grad_NAME`.
    ///
    /// # Errors
    /// The gradient does not exist.
    pub fn compare_gradients(&self, loss: &Tensor, by: &[(&str, &Var)]) -> Result<Vec<Row>> {
        let gradients = loss.backward()?;
        by.iter()
            .map(|(name, var)| (format!("grad_{name}"), var))
            .filter_map(|(name, var)| Some((self.find(&name)?, name, var)))
            .map(|(want, name, var)| {
                let got = gradients.get(var).with_context(|| format!("no {name} comes out"))?;
                Ok(Row::compared(&name, got, want, crate::GRADIENT))
            })
            .collect()
    }

    /// A failed row for each tensor that was never used.
    pub fn overlooked(&self) -> Vec<Row> {
        let used = self.used.borrow();
        let unused = self.tensors.keys().filter(|name| !used.contains(*name));
        unused
            .map(|name| Row::failed(name, "nothing here computes or reads such a tensor".to_owned()))
            .collect()
    }
}
