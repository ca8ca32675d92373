//! libcudnn, looked up when the program runs: the functions of its older interface that convolutions need.
use libloading::Library;
use std::error::Error;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

const FILE: &str = "libcudnn.so.9";
/// What `cudnnGetVersion` of the oldest library of that name gives.
const VERSION: usize = 90000;
/// Where the library comes from.
const SOURCE: &str =
    "it comes with cuDNN 9 (`pip install nvidia-cudnn-cu13`, or NVIDIA's package cudnn9-cuda-13)";

/// A handle or a descriptor.
pub(super) type Object = *mut c_void;

macro_rules! functions {
    ($($name:ident($($argument:ty),*);)*) => {
        /// The functions, by their names.
        #[expect(non_snake_case, reason = "named as the library names them")]
        pub(super) struct Functions {
            version: usize,
            cudnnGetErrorString: unsafe extern "C" fn(c_int) -> *const c_char,
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl Functions {
            /// Looks all of them up.
            ///
            /// # Safety
            /// The library is cuDNN 9.
            unsafe fn find(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of cudnn_cnn_v9.h, cudnn_ops_v9.h and cudnn_graph_v9.h.
                unsafe {
                    Ok(Self {
                        version: library.get::<unsafe extern "C" fn() -> usize>("cudnnGetVersion")?(),
                        cudnnGetErrorString: *library.get("cudnnGetErrorString")?,
                        $($name: *library.get(stringify!($name))?,)*
                    })
                }
            }
        }
    };
}

functions! {
    cudnnCreate(*mut Object);
    cudnnSetStream(Object, *mut c_void);
    cudnnCreateTensorDescriptor(*mut Object);
    cudnnDestroyTensorDescriptor(Object);
    cudnnSetTensor4dDescriptor(Object, c_int, c_int, c_int, c_int, c_int, c_int);
    cudnnCreateFilterDescriptor(*mut Object);
    cudnnDestroyFilterDescriptor(Object);
    cudnnSetFilter4dDescriptor(Object, c_int, c_int, c_int, c_int, c_int, c_int);
    cudnnCreateConvolutionDescriptor(*mut Object);
    cudnnDestroyConvolutionDescriptor(Object);
    cudnnSetConvolution2dDescriptor(Object, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int);
    cudnnSetConvolutionMathType(Object, c_int);
    cudnnGetConvolutionForwardWorkspaceSize(Object, Object, Object, Object, Object, c_int, *mut usize);
    cudnnGetConvolutionBackwardDataWorkspaceSize(Object, Object, Object, Object, Object, c_int, *mut usize);
    cudnnGetConvolutionBackwardFilterWorkspaceSize(Object, Object, Object, Object, Object, c_int, *mut usize);
    cudnnConvolutionForward(Object, *const c_void, Object, *const c_void, Object, *const c_void, Object, c_int,
        *mut c_void, usize, *const c_void, Object, *mut c_void);
    cudnnConvolutionBackwardData(Object, *const c_void, Object, *const c_void, Object, *const c_void, Object, c_int,
        *mut c_void, usize, *const c_void, Object, *mut c_void);
    cudnnConvolutionBackwardFilter(Object, *const c_void, Object, *const c_void, Object, *const c_void, Object, c_int,
        *mut c_void, usize, *const c_void, Object, *mut c_void);
}

/// What a function of the library has answered, where that is not success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: c_int,
    text: String,
}

impl Refused {
    /// Whether the library has no kernel for what it was asked for, which is no mistake.
    pub(super) fn is_not_supported(&self) -> bool {
        (3000..4000).contains(&self.status)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.text, self.status)
    }
}

/// What the system says of a library or a function that was not found; the error itself only names the call that failed.
fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

impl Functions {
    /// The library's functions, or why there are none.
    pub(super) fn load() -> Result<Self, String> {
        // SAFETY: loading runs the library's own initialization, as its first use would.
        let library = unsafe { Library::new(FILE) }.map_err(|e| {
            format!(
                "{FILE} cannot be loaded: {SOURCE}; its folder has to be in LD_LIBRARY_PATH ({})",
                reason(&e)
            )
        })?;
        // SAFETY: the file is named as cuDNN 9 is.
        let functions = unsafe { Self::find(&library) }
            .map_err(|e| format!("{FILE} is not cuDNN 9: {}; {SOURCE}", reason(&e)))?;
        if functions.version < VERSION {
            return Err(format!(
                "{FILE} is of version {}; {VERSION} and newer are known; {SOURCE}",
                functions.version
            ));
        }
        // Never unloaded, as a library that is linked.
        std::mem::forget(library);
        Ok(functions)
    }

    /// The library's version, such as `9.13.0`.
    pub(super) fn version(&self) -> String {
        let version = self.version;
        format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)
    }

    /// Success, or what the status says.
    pub(super) fn check(&self, status: c_int) -> Result<(), Refused> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the library answers any number with a text of its own, or with none.
        let text = unsafe {
            let text = (self.cudnnGetErrorString)(status);
            if text.is_null() {
                "an unknown error".into()
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            }
        };
        Err(Refused { status, text })
    }

    /// What `create` makes.
    pub(super) fn made(&self, create: unsafe extern "C" fn(*mut Object) -> c_int) -> Result<Object, Refused> {
        let mut made = ptr::null_mut();
        // SAFETY: writes one pointer.
        self.check(unsafe { create(&raw mut made) })?;
        Ok(made)
    }
}
