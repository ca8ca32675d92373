//! Devices and floating-point types as configurations and command lines name them.
//!
//! A network is built on one device in one type: both are chosen once, at the top, and passed down.
//!
//! ```
//! use drgan_tensor::device::{DeviceRequest, FloatType};
//!
//! let device = "auto".parse::<DeviceRequest>()?.open()?;
//! let dtype = "f32".parse::<FloatType>()?.into();
//! let zeros = candle_core::Tensor::zeros(3, dtype, &device)?;
//! assert_eq!(zeros.to_vec1::<f32>()?, [0.; 3]);
//! assert_eq!("cuda".parse::<DeviceRequest>()?.to_string(), "cuda:0");
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
use crate::{Error, Result};
use candle_core::{DType, Device};
use drgan_kernels::{Convolutions, Precision, convolutions, open_cuda_with};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The host's memory: where files are read, initial values computed and expectations of tests kept.
pub const HOST: Device = Device::Cpu;

/// The device that is asked for: `"auto"`, `"cpu"`, or `"cuda"` and `"cuda:N"` for the first and the N-th CUDA device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DeviceRequest {
    /// The fastest device that this build supports and this machine has.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number, from 0.
    Cuda(usize),
}

impl DeviceRequest {
    /// What the arguments of a small program ask for: nothing is `auto`, and `device`, behind two dashes, stands before a name.
    ///
    /// # Errors
    /// Other arguments; a name that is no device's.
    pub fn of_arguments(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        match arguments.as_slice() {
            [] => Ok(Self::Auto),
            [option, name] if option.strip_prefix("--") == Some("device") => name.parse(),
            others => {
                let reason =
                    format!("expected nothing, or the option and a device, got `{}`", others.join(" "));
                Err(Error::Config { field: "device", reason })
            }
        }
    }

    /// Opens the device. `auto` is the first CUDA device where one can be opened, else the CPU.
    ///
    /// # Errors
    /// [`Error::Config`] that says what a CUDA device that was asked for lacks, and what to install.
    pub fn open(self) -> Result<Device> {
        self.open_with(Precision::F32)
    }

    /// [`DeviceRequest::open`] for convolutions and linear maps in this precision.
    ///
    /// # Errors
    /// As there; a precision that the device does not compute in.
    pub fn open_with(self, precision: Precision) -> Result<Device> {
        Ok(self.open_noted(precision)?.device)
    }

    /// [`DeviceRequest::open_with`], and what whoever asked should be told.
    ///
    /// # Errors
    /// As there.
    pub fn open_noted(self, precision: Precision) -> Result<Opened> {
        let mut notes = Vec::new();
        let device = self.open_and_note(precision, &mut notes)?;
        let by = convolutions(&device)?;
        if let Some(Convolutions::Columns { lacks: Some(lacks) }) = &by {
            notes.push(format!("convolutions are slower than they could be: {lacks}"));
        }
        Ok(Opened { device, convolutions: by, notes })
    }

    fn open_and_note(self, precision: Precision, notes: &mut Vec<String>) -> Result<Device> {
        let on_host = |why: &str| match precision {
            Precision::F32 => Ok(HOST),
            other => {
                let reason = format!("CUDA devices alone compute in `{other}`, the CPU in `f32`{why}");
                Err(Error::Config { field: "precision", reason })
            }
        };
        match self {
            Self::Auto => match open_cuda_with(0, precision) {
                Ok(device) => Ok(device),
                Err(e) => {
                    let host = on_host(&format!("; {e}"))?;
                    // Where there is no driver, nobody expects a GPU.
                    if e.has_driver() {
                        notes.push(format!("the CPU computes, as the CUDA device cannot be opened: {e}"));
                    }
                    Ok(host)
                }
            },
            Self::Cpu => on_host(""),
            Self::Cuda(number) => open_cuda_with(number, precision)
                .map_err(|e| Error::Config { field: "device", reason: e.to_string() }),
        }
    }
}

/// A device that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device.
    pub device: Device,
    /// What computes convolutions there; none on the CPU, where the kernels of this workspace do.
    pub convolutions: Option<Convolutions>,
    /// What its user should be told, a sentence each: that `auto` is the CPU although there is a driver, that a library is missing.
    pub notes: Vec<String>,
}

/// Whether an error's text says that a device's memory is exhausted. candle passes the driver's errors on as text only.
pub fn is_out_of_device_memory(error: &str) -> bool {
    ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"].iter().any(|name| error.contains(name))
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl FromStr for DeviceRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
        match (text, text.strip_prefix("cuda:").and_then(number)) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            (_, Some(number)) => Ok(Self::Cuda(number)),
            _ => {
                let reason = format!("`{text}` is not a device; expected `auto`, `cpu`, `cuda` or `cuda:N`");
                Err(Error::Config { field: "device", reason })
            }
        }
    }
}

impl TryFrom<String> for DeviceRequest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DeviceRequest> for String {
    fn from(device: DeviceRequest) -> Self {
        device.to_string()
    }
}

/// The floating-point type of a network's weights and activations: `"f32"` or `"f64"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FloatType {
    /// 32 bits: training and inference.
    #[default]
    F32,
    /// 64 bits: checks of gradients.
    F64,
}

impl From<FloatType> for DType {
    fn from(dtype: FloatType) -> Self {
        match dtype {
            FloatType::F32 => Self::F32,
            FloatType::F64 => Self::F64,
        }
    }
}

impl fmt::Display for FloatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DType::from(*self).as_str())
    }
}

impl FromStr for FloatType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" => Ok(Self::F32),
            "f64" => Ok(Self::F64),
            _ => {
                let reason = format!("`{text}` is not a type of weights; expected `f32` or `f64`");
                Err(Error::Config { field: "dtype", reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:12"] {
            let device: DeviceRequest = text.parse().unwrap();
            assert_eq!(device.to_string(), text);
            let json = serde_json::to_string(&device).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<DeviceRequest>(&json).unwrap(), device);
        }
        assert_eq!("cuda".parse::<DeviceRequest>().unwrap(), DeviceRequest::Cuda(0));
        for text in ["", "CPU", "tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda:99999999999999999999"] {
            let message = text.parse::<DeviceRequest>().unwrap_err().to_string();
            assert!(message.contains(&format!("`{text}`")) && message.contains("`cuda:N`"), "{message}");
        }
        let message = serde_json::from_str::<DeviceRequest>("\"tpu\"").unwrap_err().to_string();
        assert!(message.contains("`tpu` is not a device"), "{message}");
    }

    #[test]
    fn arguments_name_a_device_or_nothing() {
        let of = |line: &str| DeviceRequest::of_arguments(line.split_whitespace().map(str::to_owned));
        assert_eq!(of("").unwrap(), DeviceRequest::Auto);
        assert_eq!(of("--device cuda:1").unwrap(), DeviceRequest::Cuda(1));
        for line in ["--device", "--device tpu", "cuda", "--devices cuda", "--device cpu more"] {
            let message = of(line).unwrap_err().to_string();
            assert!(message.contains("device"), "{message}");
        }
    }

    /// A device that no build and no machine has.
    const NOWHERE: DeviceRequest = DeviceRequest::Cuda(999);

    #[test]
    fn a_device_that_the_build_or_the_machine_lacks_is_a_named_error() {
        assert!(DeviceRequest::Cpu.open().unwrap().is_cpu());
        let message = NOWHERE.open().unwrap_err().to_string();
        assert!(message.contains("`cuda:999`"), "{message}");
        // With support, what is missing depends on the machine: a library, a driver, the number.
        if cfg!(not(feature = "cuda")) {
            assert!(message.contains("no CUDA support"), "{message}");
            assert!(DeviceRequest::Auto.open().unwrap().is_cpu());
            // No build without support has a set-up that could be broken.
            let opened = DeviceRequest::Auto.open_noted(Precision::F32).unwrap();
            assert!(opened.notes.is_empty() && opened.convolutions.is_none(), "{opened:?}");
        }
    }

    #[test]
    fn a_precision_that_the_device_lacks_is_a_named_error() {
        let without = [DeviceRequest::Cpu]
            .into_iter()
            .chain(cfg!(not(feature = "cuda")).then_some(DeviceRequest::Auto));
        for device in without {
            assert!(device.open_with(Precision::F32).unwrap().is_cpu());
            for precision in [Precision::Tf32, Precision::Bf16] {
                let message = device.open_with(precision).unwrap_err().to_string();
                let named = format!("CUDA devices alone compute in `{precision}`, the CPU in `f32`");
                assert!(message.contains("precision") && message.contains(&named), "{message}");
            }
        }
    }

    #[test]
    fn exhausted_device_memory_is_told_from_other_errors() {
        let said = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        assert!(is_out_of_device_memory(said) && !is_out_of_device_memory("CUDA_ERROR_NOT_FOUND"));
    }

    #[test]
    fn types_are_read_as_they_are_written() {
        for (text, dtype) in [("f32", DType::F32), ("f64", DType::F64)] {
            let read: FloatType = text.parse().unwrap();
            assert_eq!((read.to_string().as_str(), DType::from(read)), (text, dtype));
            assert_eq!(serde_json::to_string(&read).unwrap(), format!("\"{text}\""));
        }
        let message = "bf8".parse::<FloatType>().unwrap_err().to_string();
        assert!(message.contains("`bf8`") && message.contains("`f64`"), "{message}");
    }
}
