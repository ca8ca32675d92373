//! What cuDNN is told of a convolution, once for all calls of the same sizes.
use super::library::{Functions, Object, Refused};
use crate::cuda::convolution::{Geometry, Pass};
use crate::precision::Precision;
use std::ffi::{c_int, c_void};

/// Numbers of cuDNN's enumerations.
const NCHW: c_int = 0;
const F32: c_int = 0;
const BF16: c_int = 9;
const CROSS_CORRELATION: c_int = 1;
/// Tensor cores, for what the values are: TF32 for f32.
const TENSOR_OPS: c_int = 1;
/// f32 as f32: the default would be TF32.
const FMA: c_int = 3;
/// Implicit precomputed GEMM forward, algorithm 1 of both backward passes: all three are deterministic, which algorithm 0
/// of the backward passes is not, and take any shape.
pub(super) const ALGORITHM: c_int = 1;

/// A function that runs an algorithm.
type Run = unsafe extern "C" fn(
    Object,
    *const c_void,
    Object,
    *const c_void,
    Object,
    *const c_void,
    Object,
    c_int,
    *mut c_void,
    usize,
    *const c_void,
    Object,
    *mut c_void,
) -> c_int;

/// A pass with its descriptors.
#[derive(Clone, Copy)]
pub(super) struct Algorithm {
    pub(super) run: Run,
    /// Of the first input, the second, the convolution and the result.
    pub(super) descriptors: [Object; 4],
    /// Bytes of workspace.
    pub(super) bytes: usize,
}

impl Pass {
    /// Both inputs and the result, of map, weight and result of the convolution.
    pub(super) fn operands<T>(self, [x, w, y]: [T; 3]) -> [T; 3] {
        match self {
            Self::Forward => [x, w, y],
            Self::Input => [w, y, x],
            Self::Weight => [x, y, w],
        }
    }
}

/// The descriptors of a convolution's sizes, destroyed with it.
pub(super) struct Plan {
    functions: &'static Functions,
    x: Object,
    w: Object,
    y: Object,
    by: Object,
    /// What each pass needs, once it was asked for.
    bytes: [Option<Result<usize, Refused>>; 3],
}

impl Plan {
    /// Sets the descriptors of these sizes.
    pub(super) fn new(
        functions: &'static Functions,
        geometry: &Geometry,
        precision: Precision,
    ) -> Result<Self, Refused> {
        let none = std::ptr::null_mut();
        let mut plan = Self { functions, x: none, w: none, y: none, by: none, bytes: Default::default() };
        plan.x = functions.made(functions.cudnnCreateTensorDescriptor)?;
        plan.w = functions.made(functions.cudnnCreateFilterDescriptor)?;
        plan.y = functions.made(functions.cudnnCreateTensorDescriptor)?;
        plan.by = functions.made(functions.cudnnCreateConvolutionDescriptor)?;
        // A side beyond an int is refused as one that is negative.
        let ints = |sides: [usize; 4]| sides.map(|n| c_int::try_from(n).unwrap_or(-1));
        let [n, c, h, w] = ints(geometry.x);
        let [o, each, kh, kw] = ints(geometry.w);
        let [ny, cy, oh, ow] = ints(geometry.y);
        let [top, left, stride, _] = ints([geometry.padding[0], geometry.padding[1], geometry.stride, 0]);
        let of = if precision == Precision::Bf16 { BF16 } else { F32 };
        // SAFETY: all four were made above, as the kinds that the functions want.
        unsafe {
            functions.check((functions.cudnnSetTensor4dDescriptor)(plan.x, NCHW, of, n, c, h, w))?;
            functions.check((functions.cudnnSetFilter4dDescriptor)(plan.w, of, NCHW, o, each, kh, kw))?;
            functions.check((functions.cudnnSetTensor4dDescriptor)(plan.y, NCHW, of, ny, cy, oh, ow))?;
            functions.check((functions.cudnnSetConvolution2dDescriptor)(
                plan.by,
                top,
                left,
                stride,
                stride,
                1,
                1,
                CROSS_CORRELATION,
                F32,
            ))?;
            let math = if precision == Precision::F32 { FMA } else { TENSOR_OPS };
            functions.check((functions.cudnnSetConvolutionMathType)(plan.by, math))?;
        }
        Ok(plan)
    }

    /// A pass by these descriptors.
    pub(super) fn algorithm(&mut self, handle: Object, pass: Pass) -> Result<Algorithm, Refused> {
        let functions = self.functions;
        let (query, run): (_, Run) = match pass {
            Pass::Forward => {
                (functions.cudnnGetConvolutionForwardWorkspaceSize, functions.cudnnConvolutionForward)
            }
            Pass::Input => (
                functions.cudnnGetConvolutionBackwardDataWorkspaceSize,
                functions.cudnnConvolutionBackwardData,
            ),
            Pass::Weight => (
                functions.cudnnGetConvolutionBackwardFilterWorkspaceSize,
                functions.cudnnConvolutionBackwardFilter,
            ),
        };
        let [first, second, result] = pass.operands([self.x, self.w, self.y]);
        let descriptors = [first, second, self.by, result];
        let bytes = self.bytes[pass as usize].get_or_insert_with(|| {
            let mut bytes = 0;
            // SAFETY: the descriptors are set; writes one number.
            let status = unsafe { query(handle, first, second, self.by, result, ALGORITHM, &raw mut bytes) };
            functions.check(status).map(|()| bytes)
        });
        Ok(Algorithm { run, descriptors, bytes: bytes.clone()? })
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        let functions = self.functions;
        let destroy: [(unsafe extern "C" fn(Object) -> c_int, Object); 4] = [
            (functions.cudnnDestroyTensorDescriptor, self.x),
            (functions.cudnnDestroyFilterDescriptor, self.w),
            (functions.cudnnDestroyTensorDescriptor, self.y),
            (functions.cudnnDestroyConvolutionDescriptor, self.by),
        ];
        for (destroy, descriptor) in destroy.into_iter().filter(|(_, descriptor)| !descriptor.is_null()) {
            // SAFETY: made by this plan and used by nobody else. Work that is enqueued has read it.
            unsafe { destroy(descriptor) };
        }
    }
}
