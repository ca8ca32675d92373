//! State dicts for PyTorch: the zip format, which `torch.load` reads with `weights_only=True`.
use crate::error::Cause;
use crate::weights::tensors::Tensors;
use crate::{Error, Result};
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use candle_core::{DType, Tensor};
use std::io::{Cursor, Write};

/// The version of the zip format that PyTorch writes since 1.6.
const VERSION: &[u8] = b"3\n";

/// The bytes of a file that `torch.load` reads as a dictionary of these tensors, in the order of their names; equal tensors give equal
/// bytes.
///
/// # Errors
/// A type other than f32, f64, f16, bf16, i64 and u8.
pub fn to_bytes(tensors: &Tensors) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Stored, as PyTorch maps storages into memory; without a date, so that equal contents are equal bytes.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(::zip::DateTime::default());
    let failed = |e: Cause| Error::from(candle_core::Error::wrap(std::io::Error::other(e)));
    let mut entry = |name: &str, bytes: &[u8]| -> Result<()> {
        zip.start_file(format!("archive/{name}"), options).map_err(|e| failed(e.into()))?;
        zip.write_all(bytes).map_err(|e| failed(e.into()))
    };
    entry("data.pkl", &pickle(tensors)?)?;
    entry("byteorder", b"little")?;
    for (key, t) in tensors.values().enumerate() {
        entry(&format!("data/{key}"), &storage(t)?.1)?;
    }
    entry("version", VERSION)?;
    Ok(zip.finish().map_err(|e| failed(e.into()))?.into_inner())
}

/// The name of a storage's class, and its values, little-endian.
fn storage(t: &Tensor) -> Result<(&'static str, Vec<u8>)> {
    fn bytes<const N: usize, T>(values: Vec<T>, f: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.into_iter().flat_map(f).collect()
    }
    let flat = t.flatten_all()?;
    Ok(match t.dtype() {
        DType::F32 => ("FloatStorage", bytes(flat.to_vec1()?, f32::to_le_bytes)),
        DType::F64 => ("DoubleStorage", bytes(flat.to_vec1()?, f64::to_le_bytes)),
        DType::F16 => ("HalfStorage", bytes(flat.to_vec1()?, half::f16::to_le_bytes)),
        DType::BF16 => ("BFloat16Storage", bytes(flat.to_vec1()?, half::bf16::to_le_bytes)),
        DType::I64 => ("LongStorage", bytes(flat.to_vec1()?, i64::to_le_bytes)),
        DType::U8 => ("ByteStorage", flat.to_vec1()?),
        other => {
            return Err(Error::input(format!(
                "tensors of type {} are not written for PyTorch",
                other.as_str()
            )));
        }
    })
}

/// The dictionary as a pickle of protocol 2: what `torch.save` writes of one.
fn pickle(tensors: &Tensors) -> Result<Vec<u8>> {
    let mut out = Pickle(vec![0x80, 2]);
    out.ordered_dict();
    out.0.push(b'('); // mark
    for (key, (name, t)) in tensors.iter().enumerate() {
        let strides: Vec<usize> = (1..=t.rank()).map(|axis| t.dims()[axis..].iter().product()).collect();
        out.text(name);
        out.global("torch._utils", "_rebuild_tensor_v2");
        out.0.push(b'(');
        // The storage: a persistent id.
        out.0.push(b'(');
        out.text("storage");
        out.global("torch", storage_name(t)?);
        out.text(&key.to_string());
        out.text("cpu");
        out.integer(t.elem_count())?;
        out.0.extend(*b"tQ"); // tuple, persistent id
        out.integer(0)?; // offset
        out.tuple(t.dims())?;
        out.tuple(&strides)?;
        out.0.push(0x89); // requires_grad: False
        out.ordered_dict(); // hooks
        out.0.extend(*b"tR"); // tuple, call
    }
    out.0.extend(*b"u."); // set items, stop
    Ok(out.0)
}

fn storage_name(t: &Tensor) -> Result<&'static str> {
    Ok(storage(&t.flatten_all()?.narrow(0, 0, t.elem_count().min(1))?)?.0)
}

/// Opcodes of a pickle, one after another.
struct Pickle(Vec<u8>);

impl Pickle {
    /// A function or class by its module and name.
    fn global(&mut self, module: &str, name: &str) {
        self.0.extend(format!("c{module}\n{name}\n").into_bytes());
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.0.extend(*b")R"); // called with no arguments
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn integer(&mut self, n: usize) -> Result<()> {
        let n = i32::try_from(n)
            .map_err(|_| Error::input(format!("{n} values of a tensor are more than 2^31")))?;
        self.0.push(b'J');
        self.0.extend(n.to_le_bytes());
        Ok(())
    }

    fn tuple(&mut self, values: &[usize]) -> Result<()> {
        self.0.push(b'(');
        values.iter().try_for_each(|n| self.integer(*n))?;
        self.0.push(b't');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::HOST;
    use std::path::Path;

    #[test]
    fn what_is_written_is_read_back() -> Result<()> {
        let x = Tensor::arange(0f32, 24., &HOST)?.reshape((2, 3, 4))?;
        let tensors = Tensors::from([
            ("a.weight".to_owned(), x.clone()),
            ("a.half".to_owned(), x.to_dtype(DType::F16)?),
            ("b".to_owned(), x.to_dtype(DType::F64)?.transpose(0, 1)?),
            ("c".to_owned(), Tensor::new(7i64, &HOST)?),
            ("ä".to_owned(), Tensor::zeros((0, 3), DType::F32, &HOST)?),
        ]);
        let bytes = to_bytes(&tensors)?;
        assert_eq!(bytes, to_bytes(&tensors)?);
        let back = super::super::from_bytes(&bytes, Path::new("x.pth"), &HOST)?;
        assert_eq!(back.keys().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>());
        for (name, t) in &tensors {
            assert_eq!(back[name].dims(), t.dims(), "{name}");
            let values = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
            assert_eq!(values(&back[name])?, values(t)?, "{name}");
        }
        let odd = Tensors::from([("x".to_owned(), Tensor::zeros(2, DType::U32, &HOST)?)]);
        assert!(to_bytes(&odd).expect_err("refused").to_string().contains("u32"));
        Ok(())
    }
}
