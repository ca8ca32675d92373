#!/usr/bin/env python3
"""Usage: test.py EMULATOR. Tests that the emulated device in the folder EMULATOR computes what a GPU computes, refuses what
NVIDIA's libraries refuse (each row of REFUSED says where that stands) and ends the program where a GPU would go on with wrong
values (rows of NOTICED)."""

import ctypes
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

KERNELS = ["count", "reverse", "reverse_without_barrier", "divergent_barrier", "half_a_warp", "sum", "four_at_once", "last_block", "float_atomic"]
PTX = "".join(f".visible .entry test_{name}(\n)\n{{\n}}\n" for name in KERNELS) + ".visible .entry test_small(\n)\n.maxntid 64, 1, 1\n{\n}\n"


class Refused(Exception):
    pass


class Device:
    """The emulated libraries, as a program calls them."""

    def __init__(self, folder, start=True):
        libraries = ("libcuda.so.1", "libcublas.so.13", "libcurand.so.10", "libcudnn.so.9")
        self.cuda, self.blas, self.rand, self.dnn = (ctypes.CDLL(str(folder / name)) for name in libraries)
        self.functions = {}
        if start:
            self.call("cuInit", 0)
            self.call("cuCtxSetCurrent", ctypes.c_void_p(1))
            self.stream = self.made("cuStreamCreate", 0)
            self.module = self.made("cuModuleLoadData", PTX.encode())

    def call(self, name, *arguments, library=None):
        error = getattr(library or self.cuda, name)(*arguments)
        if error:
            raise Refused(error)

    def made(self, name, *arguments, library=None):
        """The handle that a function writes through its first argument."""
        handle = ctypes.c_void_p()
        self.call(name, ctypes.byref(handle), *arguments, library=library)
        return handle

    def memory(self, size):
        return ctypes.c_ulonglong(self.made("cuMemAllocAsync", ctypes.c_size_t(size), self.stream).value)

    def upload(self, values, kind="f"):
        data = struct.pack(f"{len(values)}{kind}", *values)
        at = self.memory(len(data))
        self.call("cuMemcpyHtoDAsync_v2", at, data, ctypes.c_size_t(len(data)), self.stream)
        return at

    def download(self, at, n, kind="f"):
        data = ctypes.create_string_buffer(4 * n)
        self.call("cuMemcpyDtoHAsync_v2", data, at, ctypes.c_size_t(4 * n), self.stream)
        return list(struct.unpack(f"{n}{kind}", data.raw))

    def pinned(self, values):
        """Page-locked memory of the host with these floats."""
        at = self.made("cuMemHostAlloc", size(4 * len(values)), 4)
        ctypes.memmove(at, struct.pack(f"{len(values)}f", *values), 4 * len(values))
        return at

    def copy_later(self, values, stream=None):
        """A copy from page-locked memory: where it is from, and where to."""
        at, to = self.pinned(values), self.memory(4 * len(values))
        self.call("cuMemcpyHtoDAsync_v2", to, at, size(4 * len(values)), stream or self.stream)
        return at, to

    def event(self, stream, flags=0):
        made = self.made("cuEventCreate", flags)
        self.call("cuEventRecord", made, stream)
        return made

    def launch(self, name, *arguments, grid=(1, 1, 1), block=(32, 1, 1), stream=None):
        if name not in self.functions:
            self.functions[name] = self.made("cuModuleGetFunction", self.module, f"test_{name}".encode())
        pointers = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(a) for a in arguments))
        self.call("cuLaunchKernel", self.functions[name], *grid, *block, 0, stream or self.stream, pointers, None)

    def gemm(self, a, b, c, m, n, k, ta=0, tb=0, type=0, compute=68, lda=None, beta=0.0):
        one, beta, long = ctypes.c_float(1), ctypes.c_float(beta), ctypes.c_longlong
        handle = self.made("cublasCreate_v2", library=self.blas)
        self.call("cublasGemmStridedBatchedEx", handle, ta, tb, m, n, k, ctypes.byref(one), a, type, lda or (k if ta else m), long(0), b, type,
                  n if tb else k, long(0), ctypes.byref(beta), c, type, m, long(0), 1, compute, 99, library=self.blas)

    def descriptor(self, kind, *values):
        """A tensor's (type, n, c, h, w), a filter's (the same) or a convolution's (padding, stride, dilation, mode, type of sums)."""
        made = self.made(f"cudnnCreate{kind}Descriptor", library=self.dnn)
        if kind == "Tensor":
            self.call("cudnnSetTensor4dDescriptor", made, 0, *values, library=self.dnn)
        elif kind == "Filter":
            self.call("cudnnSetFilter4dDescriptor", made, values[0], 0, *values[1:], library=self.dnn)
        else:
            padding, stride, dilation, mode, sums = values
            self.call("cudnnSetConvolution2dDescriptor", made, *[padding] * 2, *[stride] * 2, *[dilation] * 2, mode, sums, library=self.dnn)
        return made

    def convolve(self, which="Forward", x=(1, 2, 3, 3), w=(2, 2, 2, 2), y=(1, 2, 2, 2), padding=0, stride=1, mode=1, math=3, groups=None, algorithm=1, types=(0, 0, 0),
                 values=None, workspace=None, shift=0, stream=None, beta=0.0, handle=None, into=None, sums=0, workspace_at=None):
        """A convolution of ones unless said otherwise; gives where the result lies. `shift` moves the first input by bytes."""
        handle = handle or self.made("cudnnCreate", library=self.dnn)
        self.call("cudnnSetStream", handle, stream or self.stream, library=self.dnn)
        kinds = {"x": ("Tensor", types[0], *x), "w": ("Filter", types[1], *w), "y": ("Tensor", types[2], *y)}
        descriptors = {name: self.descriptor(*kind) for name, kind in kinds.items()}
        by = self.descriptor("Convolution", padding, stride, 1, mode, sums)
        self.call("cudnnSetConvolutionMathType", by, math, library=self.dnn)
        if groups:
            self.call("cudnnSetConvolutionGroupCount", by, groups, library=self.dnn)
        first, second, result = {"Forward": "xwy", "BackwardData": "wyx", "BackwardFilter": "xyw"}[which]
        count = lambda name: kinds[name][2] * kinds[name][3] * kinds[name][4] * kinds[name][5]
        given = values or ([1.0] * count(first), [1.0] * count(second))
        bits = values and types == (9, 9, 9)  # given as bf16's
        inputs = [self.upload(v + [0] * 8, "H" if bits else "f") for v in given]
        inputs[0] = ctypes.c_void_p(inputs[0].value + shift)
        into = into or self.upload([10.0] * count(result))
        needed = ctypes.c_size_t()
        order = [descriptors[first], descriptors[second], by, descriptors[result]]
        self.call(f"cudnnGetConvolution{which}WorkspaceSize", handle, *order, algorithm, ctypes.byref(needed), library=self.dnn)
        assert needed.value > 0
        given_bytes = needed.value if workspace is None else workspace
        space = workspace_at or self.memory(max(given_bytes, 1))
        one, beta = ctypes.c_float(1), ctypes.c_float(beta)
        self.call(f"cudnnConvolution{which}", handle, ctypes.byref(one), descriptors[first], inputs[0], descriptors[second], inputs[1], by, algorithm,
                  space, size(given_bytes), ctypes.byref(beta), descriptors[result], into, library=self.dnn)
        return into


def size(n):
    return ctypes.c_size_t(n)


NOT_STARTED = 3  # CUDA_ERROR_NOT_INITIALIZED
DRIVER = "CUDA Driver API"
LIMITS = "CUDA C++ Programming Guide, technical specifications per compute capability"
CUBLAS = "cuBLAS, cublasGemmStridedBatchedEx"
CUDNN, CUDNN_OPS, CUDNN_STATUS = "cuDNN, cudnn_cnn library, cudnnConvolutionForward", "cuDNN, cudnn_ops library", "cuDNN, cudnnStatus_t"


def destroyed_stream(d):
    d.call("cuStreamDestroy_v2", d.stream)
    return d.stream


# What the libraries refuse: what it is, their error, where that stands, how it is provoked.
REFUSED = [
    ("a call before cuInit", NOT_STARTED, f"{DRIVER}, cuInit", lambda d: d.call("cuDeviceGetCount", ctypes.byref(ctypes.c_int()))),
    ("a device that is not there", 101, f"{DRIVER}, cuDeviceGet", lambda d: d.call("cuDeviceGet", ctypes.byref(ctypes.c_int()), 1)),
    ("a call in a thread without a context", 201, f"{DRIVER}, cuCtxSetCurrent", lambda d: (d.call("cuCtxSetCurrent", None), d.memory(4))),
    ("an allocation of nothing", 1, f"{DRIVER}, cuMemAlloc", lambda d: d.memory(0)),
    ("more memory than there is", 2, f"{DRIVER}, cuMemAlloc", lambda d: d.memory(9 << 30)),
    ("a grid of no block", 1, f"{DRIVER}, cuLaunchKernel", lambda d: d.launch("sum", d.upload([0.0] * 32), grid=(0, 1, 1))),
    ("65,536 blocks in y", 1, LIMITS, lambda d: d.launch("sum", d.upload([0.0] * 32), grid=(1, 65536, 1))),
    ("65,536 blocks in z", 1, LIMITS, lambda d: d.launch("sum", d.upload([0.0] * 32), grid=(1, 1, 65536))),
    ("a block of 1,056 threads", 1, LIMITS, lambda d: d.launch("sum", d.upload([0.0] * 32), block=(33, 32, 1))),
    ("a block of 65 threads in z", 1, LIMITS, lambda d: d.launch("sum", d.upload([0.0] * 32), block=(1, 1, 65))),
    ("a stream that is destroyed", 400, f"{DRIVER}, cuStreamDestroy", lambda d: d.launch("sum", d.upload([0.0] * 32), stream=destroyed_stream(d))),
    ("a stream that was never made", 400, f"{DRIVER}, cuLaunchKernel", lambda d: d.launch("sum", d.upload([0.0] * 32), stream=ctypes.c_void_p(12345))),
    ("a kernel that the module lacks", 500, f"{DRIVER}, cuModuleGetFunction", lambda d: d.launch("nothing")),
    ("an image without kernels", 200, f"{DRIVER}, cuModuleLoadData", lambda d: d.made("cuModuleLoadData", b"")),
    ("factors in half precision computed in f32's", 15, f"{CUBLAS}, supported types", lambda d: d.gemm(*[d.upload([1.0] * 4)] * 3, 2, 2, 2, type=2, compute=70)),
    ("a leading dimension below the rows", 7, f"{CUBLAS}, lda", lambda d: d.gemm(*[d.upload([1.0] * 4)] * 3, 2, 2, 2, lda=1)),
    ("a workspace that is not aligned", 7, "cuBLAS, cublasSetWorkspace", lambda d: d.call("cublasSetWorkspace_v2", None, ctypes.c_void_p(8), size(0), library=d.blas)),
    ("a handle of cuDNN without a context", 1001, f"{CUDNN_OPS}, cudnnCreate", lambda d: (d.call("cuCtxSetCurrent", None), d.made("cudnnCreate", library=d.dnn))),
    ("a destroyed handle of cuDNN", 2000, f"{CUDNN_OPS}, cudnnDestroy", lambda d: d.convolve(handle=destroyed_handle(d))),
    ("cuDNN on a stream that was never made", 2007, f"{CUDNN_OPS}, cudnnSetStream", lambda d: d.convolve(stream=ctypes.c_void_p(12345))),
    ("cuDNN without descriptors", 2002, f"{CUDNN}, NULL arguments", lambda d: d.call("cudnnGetConvolutionForwardWorkspaceSize", *[None] * 5, 1, None, library=d.dnn)),
    ("a tensor of no images", 2000, f"{CUDNN_OPS}, cudnnSetTensor4dDescriptor", lambda d: d.convolve(x=(0, 2, 3, 3), y=(0, 2, 2, 2))),
    ("a tensor of 2^31 values", 3000, f"{CUDNN_OPS}, cudnnSetTensor4dDescriptor", lambda d: d.descriptor("Tensor", 0, 2, 1024, 1024, 1024)),
    ("a stride of 0", 2000, "cuDNN, cudnn_cnn library, cudnnSetConvolution2dDescriptor", lambda d: d.convolve(stride=0)),
    ("a math type that there is not", 2000, "cuDNN, cudnn_cnn library, cudnnSetConvolutionMathType", lambda d: d.convolve(math=4)),
    ("a result of another size", 3000, f"{CUDNN}, yDesc", lambda d: d.convolve(y=(1, 2, 3, 3))),
    ("a result of another batch", 3000, f"{CUDNN}, yDesc", lambda d: d.convolve(which="BackwardData", y=(2, 2, 2, 2))),
    ("a filter for other channels", 2000, f"{CUDNN}, input feature maps", lambda d: d.convolve(w=(2, 1, 2, 2))),
    ("a filter larger than the padded map", 2000, f"{CUDNN}, wDesc", lambda d: d.convolve(w=(2, 2, 6, 6), padding=1, y=(1, 2, 1, 1))),
    ("types that differ", 2000, f"{CUDNN}, data types", lambda d: d.convolve(which="BackwardFilter", types=(0, 0, 9))),
    ("groups that do not divide the channels", 2000, f"{CUDNN}, group count", lambda d: d.convolve(groups=3)),
    ("an algorithm that is not implemented", 3000, f"{CUDNN}, CUDNN_CONVOLUTION_FWD_ALGO_DIRECT", lambda d: d.convolve(algorithm=3)),
    ("Winograd of a 2x2 filter", 3000, "cuDNN, cudnn_cnn library, CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD", lambda d: d.convolve(which="BackwardData", algorithm=4)),
    ("too small a workspace", 2006, f"{CUDNN_STATUS}, SIZE_INSUFFICIENT", lambda d: d.convolve(workspace=16)),
    ("no workspace", 2006, f"{CUDNN_STATUS}, SIZE_INSUFFICIENT", lambda d: d.convolve(which="BackwardFilter", workspace=0)),
    ("a map at an address for one float", 2003, f"{CUDNN_STATUS}, MISALIGNED_POINTER", lambda d: d.convolve(shift=4)),
    ("f64 factors computed in TF32", 15, f"{CUBLAS}, supported types", lambda d: d.gemm(*[d.upload([1.0] * 8)] * 3, 2, 2, 2, type=1, compute=77)),
    ("f64 factors computed in bf16", 15, f"{CUBLAS}, supported types", lambda d: d.gemm(*[d.upload([1.0] * 8)] * 3, 2, 2, 2, type=1, compute=75)),
    ("f32 factors computed in f64", 15, f"{CUBLAS}, supported types", lambda d: d.gemm(*[d.upload([1.0] * 4)] * 3, 2, 2, 2, compute=70)),
    ("a map in bf16 beside a filter in f32", 2000, f"{CUDNN}, BFLOAT16_CONFIG", lambda d: d.convolve(types=(9, 0, 9))),
    ("a result in f32 of a map and a filter in bf16", 2000, f"{CUDNN}, BFLOAT16_CONFIG", lambda d: d.convolve(types=(9, 9, 0))),
    ("sums in bf16", 3000, f"{CUDNN}, BFLOAT16_CONFIG", lambda d: d.convolve(types=(9, 9, 9), sums=9)),
    ("the explicit GEMM in bf16", 3000, f"{CUDNN}, CUDNN_CONVOLUTION_FWD_ALGO_GEMM", lambda d: d.convolve(types=(9, 9, 9), algorithm=2)),
    ("page-locked memory with flags that there are not", 1, f"{DRIVER}, cuMemHostAlloc", lambda d: d.made("cuMemHostAlloc", size(4), 8)),
    ("page-locked memory freed twice", 1, f"{DRIVER}, cuMemFreeHost", lambda d: (at := d.pinned([1.0]), d.call("cuMemFreeHost", at), d.call("cuMemFreeHost", at))),
    ("an event that was never made", 400, f"{DRIVER}, cuStreamWaitEvent", lambda d: d.call("cuStreamWaitEvent", d.stream, ctypes.c_void_p(12345), 0)),
    ("the time to an event that was not recorded", 400, f"{DRIVER}, cuEventElapsedTime", lambda d: elapsed(d, d.event(d.stream), d.made("cuEventCreate", 0))),
    ("the time to an event that takes none", 400, f"{DRIVER}, cuEventElapsedTime", lambda d: elapsed(d, d.event(d.stream), d.event(d.stream, flags=2))),
    ("a peak of memory set to a number", 1, f"{DRIVER}, cuMemPoolSetAttribute", lambda d: pool(d, "Set", 5)),
    ("a random stream that was never made", 101, "cuRAND, curandSetStream", lambda d: d.call("curandSetStream", None, ctypes.c_void_p(12345), library=d.rand)),
]


def elapsed(d, start, end):
    """Milliseconds between two events."""
    time = ctypes.c_float(-1)
    d.call("cuEventElapsedTime_v2", ctypes.byref(time), start, end)
    return time.value


def pool(d, verb, value=0):
    """Gets or sets the most bytes that were in use at once."""
    bytes = ctypes.c_ulonglong(value)
    d.call(f"cuMemPool{verb}Attribute", d.made("cuDeviceGetDefaultMemPool", 0), 8, ctypes.byref(bytes))
    return bytes.value


def destroyed_handle(d):
    handle = d.made("cudnnCreate", library=d.dnn)
    d.call("cudnnDestroy", handle, library=d.dnn)
    return handle


def freed(d, n=4):
    at = d.memory(n)
    d.call("cuMemFreeAsync", at, d.stream)
    return at


# What a GPU does not notice, or answers with wrong values: the message with which the program ends.
NOTICED = [
    ("a kernel writes behind the end", "behind the end of an allocation of 400 bytes", lambda d: (at := d.memory(400), d.launch("count", at, size(2000), grid=(100, 1, 1)))),
    ("... by less than a page, seen when it is freed", "bytes behind the end of an allocation of 400 bytes were written",
     lambda d: (at := d.memory(400), d.launch("count", at, size(101), grid=(4, 1, 1)), d.call("cuMemFreeAsync", at, d.stream))),
    ("memory freed twice", "which is not the beginning of an allocation", lambda d: d.call("cuMemFreeAsync", freed(d), d.stream)),
    ("a download of what is freed", "no device memory, or no more", lambda d: d.download(freed(d), 1)),
    ("a kernel on what is freed", "memory that has been freed is used", lambda d: d.launch("reverse", freed(d, 256))),
    ("a kernel on an address of the host", "is no device memory", lambda d: d.launch("reverse", ctypes.c_ulonglong(64))),
    ("a download behind the end", "from byte 0 on of an allocation of 8 bytes", lambda d: d.download(d.memory(8), 3)),
    ("a factor behind the end", "gemm, first factor", lambda d: d.gemm(d.upload([1.0] * 3), d.upload([1.0] * 4), d.upload([1.0] * 4), 2, 2, 2)),
    ("a convolution into what is freed", "cudnn forward, result", lambda d: d.convolve(into=freed(d, 32))),
    ("a convolution into too little", "cudnn backward data, map", lambda d: d.convolve(which="BackwardData", into=d.memory(40))),
    ("a convolution with its result as workspace", "result and workspace overlap", lambda d: (at := d.memory(4096), d.convolve(into=at, workspace_at=at))),
    ("page-locked memory freed before its copy", "page-locked memory was freed before its copy was done", lambda d: d.call("cuMemFreeHost", d.copy_later([1.0])[0])),
    ("page-locked memory written before its copy", "page-locked memory was overwritten before its copy was done",
     lambda d: (at := d.copy_later([1.0])[0], ctypes.memset(at, 0, 4), d.call("cuStreamSynchronize", d.stream))),
    ("... behind work that waits for it, when the host does not", "page-locked memory was overwritten before its copy was done",
     lambda d: (both := d.copy_later([1.0] * 32), d.launch("sum", both[1]), ctypes.memset(both[0], 0, 4), d.download(both[1], 1))),
    ("memory freed before a copy into it", "memory was freed before a copy into it was done",
     lambda d: (to := d.copy_later([1.0], d.made("cuStreamCreate", 0))[1], d.call("cuMemFreeAsync", to, d.stream))),
    ("a copy onto itself", "source and destination overlap",
     lambda d: (at := d.memory(400), d.call("cuMemcpyDtoDAsync_v2", at, ctypes.c_ulonglong(at.value + 4), size(100), d.stream))),
    ("a barrier that half the block reaches", "not all threads of the block reach __syncthreads", lambda d: d.launch("divergent_barrier", d.upload([0.0] * 32))),
    ("an operation of half a warp", "has returned before an operation of the whole warp", lambda d: d.launch("half_a_warp", d.upload([0.0] * 32))),
    ("four floats at an address for one", "a pointer is not aligned as its type wants", lambda d: d.launch("four_at_once", d.upload([0.0] * 32), size(1), block=(1, 1, 1))),
]


def computes(d):
    assert d.download(d.memory(8), 2, "I") == [0xFFFFFFFF] * 2, "memory is NaN until it is written"
    x = d.upload(list(range(32)))
    d.launch("sum", x)
    assert d.download(x, 32) == [496.0] * 32
    d.launch("four_at_once", x, size(4), block=(1, 1, 1))
    assert d.download(x, 8) == [496.0] * 4 + [1.0, 2.0, 3.0, 4.0]
    count = d.memory(4 * 1000)
    d.launch("count", count, size(1000), grid=(4, 1, 1), block=(256, 1, 1))
    assert d.download(count, 1000, "I") == list(range(1000))
    # In columns: a is 2 x 3, b is 3 x 2.
    a, b, c = d.upload([1, 2, 3, 4, 5, 6]), d.upload([1, 0, 1, 2, 1, 0]), d.upload([10, 10, 10, 10])
    d.gemm(a, b, c, 2, 2, 3, beta=1.0)
    assert d.download(c, 4) == [16.0, 18.0, 15.0, 18.0], d.download(c, 4)
    d.gemm(a, b, c, 2, 2, 3)
    assert d.download(c, 4) == [6.0, 8.0, 5.0, 8.0], d.download(c, 4)
    third = d.upload([1 / 3, 0, 0, 0])
    d.gemm(third, d.upload([1, 0, 0, 0]), c, 2, 2, 2, compute=77)
    assert d.download(c, 1)[0] == 0.333251953125, "a TF32 has ten bits of fraction"
    d.gemm(third, d.upload([1, 0, 0, 0]), c, 2, 2, 2, compute=75)
    assert d.download(c, 1)[0] == 0.333984375, "a bf16 has seven bits of fraction"
    convolutions(d)
    pinned(d)
    before, last = d.event(d.stream), d.event(d.stream)
    assert 0 <= elapsed(d, before, last) < 1000
    pool(d, "Set")
    lasting = pool(d, "Get")
    d.call("cuMemFreeAsync", d.memory(5000), d.stream)
    assert pool(d, "Get") == lasting + 5000, "the peak since it was set back"
    pool(d, "Set")
    assert pool(d, "Get") == lasting


def pinned(d):
    other = d.made("cuStreamCreate", 0)
    at, to = d.copy_later([3.0, 4.0], other)
    assert d.download(to, 1, "I") == [0xFFFFFFFF], "another stream finds no copy that it did not wait for"
    d.call("cuStreamWaitEvent", d.stream, d.event(other), 0)
    assert d.download(to, 2) == [3.0, 4.0], "... and finds it behind the copy's event"
    ctypes.memset(at, 0, 8)  # the host has waited
    d.call("cuMemFreeHost", at)
    at, to = d.copy_later([5.0], other)
    d.call("cuEventSynchronize", d.event(other))
    d.call("cuMemFreeHost", at)
    assert d.download(to, 1) == [5.0]


def convolutions(d):
    x, w, dy = [float(i) for i in range(18)], [1.0, 0, 0, 2, 0, 3, 0, 0, 1, 1, 1, 1, -1, 0, 0, 0], [1.0, 2, 3, 4, 5, 6, 7, 8]
    # y[o, i, j] = sum of w[o, c, u, v] x[c, i + u, j + v]
    at = lambda o, c, u, v: ((o * 2 + c) * 2 + u) * 2 + v
    places = [(o, c, u, v, i, j) for o in range(2) for c in range(2) for u in range(2) for v in range(2) for i in range(2) for j in range(2)]
    y, dx, dw = [0.0] * 8, [0.0] * 18, [0.0] * 16
    for o, c, u, v, i, j in places:
        pixel, out, weight = (c * 3 + i + u) * 3 + j + v, (o * 2 + i) * 2 + j, at(o, c, u, v)
        y[out] += w[weight] * x[pixel]
        dx[pixel] += w[weight] * dy[out]
        dw[weight] += dy[out] * x[pixel]
    for which, values, want in [("Forward", (x, w), y), ("BackwardData", (w, dy), dx), ("BackwardFilter", (x, dy), dw)]:
        got = d.download(d.convolve(which, values=values), len(want))
        assert got == want, (which, got, want)
        got = d.download(d.convolve(which, values=values, beta=1.0), len(want))
        assert got == [value + 10 for value in want], (which, got, want)
    assert d.download(d.convolve(padding=1, stride=2, y=(1, 2, 2, 2)), 8) == [2.0, 4.0, 4.0, 8.0] * 2
    # Two groups: the second output reads the second channel alone.
    got = d.download(d.convolve(groups=2, w=(2, 1, 2, 2), values=(x, [1.0] * 8)), 8)
    assert got == [8.0, 12.0, 20.0, 24.0, 44.0, 48.0, 56.0, 60.0], got
    third = ([1 / 3] + [0.0] * 17, [1.0] + [0.0] * 15)
    got = [d.download(d.convolve(values=third, math=math), 1)[0] for math in (0, 3)]
    assert got[0] == 0.333251953125 and abs(got[1] - 1 / 3) < 1e-7, "TF32 unless FMA is asked for"
    # 1 + 2^-7 and 3 are bf16's, their product 3 + 3 * 2^-7 is not: it lies between 3 + 2^-6 and 3 + 2^-5 and becomes the even one.
    narrow = ([0x3F81] + [0] * 17, [0x4040] + [0] * 15)
    for which, result in [("Forward", "y"), ("BackwardData", "x"), ("BackwardFilter", "w")]:
        values = narrow if which == "Forward" else (narrow[1], narrow[0][:8]) if which == "BackwardData" else (narrow[0], [0x4040] + [0] * 7)
        got = d.download(d.convolve(which, types=(9, 9, 9), math=1, values=values), 1, "I")[0] & 0xFFFF
        assert got == 0x4042, (which, hex(got))


def orders(d):
    x = d.upload(list(range(64)))
    d.launch("reverse", x, block=(64, 1, 1))
    y = d.upload(list(range(64)))
    d.launch("reverse_without_barrier", y, block=(64, 1, 1))
    last = d.memory(4)
    d.launch("last_block", last, grid=(100, 1, 1))
    right = [float(i) for i in reversed(range(64))]
    print(json.dumps([d.download(x, 64) == right, d.download(y, 64) == right, d.download(last, 1, "I")]))


def counts(d):
    x = d.copy_later([0.0] * 32)[1]
    d.launch("float_atomic", x)
    assert d.download(x, 1) == [32.0]
    d.call("cuMemFreeAsync", x, d.stream)
    d.memory(1000)


def counts_convolutions(d):
    for which, algorithm in [("Forward", 1), ("BackwardData", 1), ("BackwardFilter", 1), ("BackwardFilter", 3)]:
        d.convolve(which, algorithm=algorithm)


def counts_without_arithmetic(d):
    """What only counts computes nothing, and takes more than there is."""
    x = d.upload([1.0] * 32)
    d.launch("float_atomic", x)
    d.gemm(x, x, x, 2, 2, 2)
    assert d.download(x, 2) == [0.0] * 2
    d.call("cuMemFreeAsync", d.memory(100 << 30), d.stream)
    d.convolve(workspace=1 << 20)


class SignalStack(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def noticed_on_a_small_stack(d):
    """A handler of signals may have no more than 8 KiB of stack, as in the threads of a Rust program; a page behind it is closed."""
    libc, page = ctypes.CDLL(None), 4096
    libc.mmap.restype = ctypes.c_void_p
    at = libc.mmap(None, size(3 * page), 3, 0x22, -1, ctypes.c_long(0))
    libc.mprotect(ctypes.c_void_p(at), size(page), 0)
    assert not libc.sigaltstack(ctypes.byref(SignalStack(at + page, 0, 2 * page)), None)
    d.launch("reverse", ctypes.c_ulonglong(64))


def without_last_block(d):
    """The kernel is told of all blocks, of which the last does nothing."""
    count = d.memory(4 * 1000)
    d.launch("count", count, size(1000), grid=(4, 1, 1), block=(256, 1, 1))
    assert d.download(count, 1000, "I") == [i if i < 768 else 0xFFFFFFFF for i in range(1000)]


def child(folder, what, **environment):
    """Runs one case in a process of its own, since many end it."""
    return subprocess.run([sys.executable, __file__, str(folder), what], env={**os.environ, **environment}, capture_output=True, text=True)


def run_case(folder, what):
    kind, _, number = what.partition(":")
    device = Device(folder, start=kind != "refused" or REFUSED[int(number)][1] != NOT_STARTED)
    if kind == "refused":
        try:
            REFUSED[int(number)][3](device)
        except Refused as error:
            sys.exit(f"error {error}")
        sys.exit("not refused")
    {"noticed": lambda: NOTICED[int(number)][2](device), "computes": lambda: computes(device), "orders": lambda: orders(device), "counts": lambda: counts(device), "counts_convolutions": lambda: counts_convolutions(device), "counts_without_arithmetic": lambda: counts_without_arithmetic(device), "small_stack": lambda: noticed_on_a_small_stack(device), "without_last_block": lambda: without_last_block(device)}[kind]()


def main(folder):
    failed = []

    def check(name, right, process):
        if not right:
            failed.append(f"{name}: status {process.returncode}\n{process.stdout}{process.stderr}")

    for i, (name, error, _, _) in enumerate(REFUSED):
        p = child(folder, f"refused:{i}")
        check(name, p.stderr.strip().endswith(f"error {error}"), p)
    for i, (name, message, _) in enumerate(NOTICED):
        p = child(folder, f"noticed:{i}")
        check(name, p.returncode == -6 and message in p.stderr, p)
    for order in ("ascending", "descending", "random:1", "random:2"):
        p = child(folder, "computes", CUDAEMU_ORDER=order)
        check(f"computes, {order}", p.returncode == 0, p)
    found = {order: child(folder, "orders", CUDAEMU_ORDER=order) for order in ("ascending", "descending", "random:1", "random:2")}
    told = {order: json.loads(p.stdout or "[]") for order, p in found.items()}
    for order, p in found.items():
        check(f"a barrier's result, {order}", told[order][:1] == [True], p)
    check("a missing barrier is seen", not all(t[1:2] == [True] for t in told.values()), found["random:1"])
    check("blocks come in another order", len({str(t[2:]) for t in told.values()}) >= 3, found["random:1"])
    with tempfile.TemporaryDirectory() as scratch:
        p = child(folder, "counts", CUDAEMU_REPORT=f"{scratch}/report")
        report = json.loads(pathlib.Path(scratch, "report").read_text())
        wanted = {"launches": 1, "uploads": 1, "pinned_uploads": 1, "upload_bytes": 128, "downloads": 1, "download_bytes": 4, "allocations": 2, "float_atomics": 32,
                  "live_bytes": 1000, "peak_bytes": 1000, "streams": 1, "kernels": {"test_float_atomic": 1}}
        check(f"counts {report}", p.returncode == 0 and all(report[k] == v for k, v in wanted.items()), p)
        p = child(folder, "counts_convolutions", CUDAEMU_REPORT=f"{scratch}/report")
        report = json.loads(pathlib.Path(scratch, "report").read_text())
        wanted = {"launches": 4, "streams": 1, "float_atomics": 1, "kernels": {"cudnn forward": 1, "cudnn backward data": 1, "cudnn backward filter": 2}}
        check(f"counts of convolutions {report}", p.returncode == 0 and all(report[k] == v for k, v in wanted.items()), p)
        p = child(folder, "counts_without_arithmetic", CUDAEMU_REPORT=f"{scratch}/report", CUDAEMU_KERNELS="count")
        report = json.loads(pathlib.Path(scratch, "report").read_text())
        # At the end live: 32 floats, a convolution's inputs of 18 and 16 values (and 8 more each), its result of 8, its workspace.
        live = 4 * (32 + 26 + 24 + 8)
        wanted = {"launches": 3, "float_atomics": 0, "live_bytes": live + (1 << 20), "tensor_peak_bytes": (100 << 30) + 128, "peak_bytes": (100 << 30) + 128}
        check(f"counts without arithmetic {report}", p.returncode == 0 and all(report[k] == v for k, v in wanted.items()), p)
        p = child(folder, "counts_convolutions", CUDAEMU_REPORT=f"{scratch}/report", CUDAEMU_KERNELS="count")
        report = json.loads(pathlib.Path(scratch, "report").read_text())
        check(f"workspaces are apart {report}", 0 < report["tensor_peak_bytes"] <= report["live_bytes"] - 4 * 256, p)
    p = child(folder, "small_stack")
    check("a fault on a small stack", p.returncode == -6 and "is no device memory (kernel test_reverse" in p.stderr, p)
    p = child(folder, "without_last_block", CUDAEMU_FAULT="test_count:grid")
    check("the last block is missing", p.returncode == 0, p)
    for name in ("nothing", "gemm"):
        p = child(folder, "computes", CUDAEMU_FAULT=f"{name}:skip")
        check("a fault of no kernel", p.returncode == -6 and f"CUDAEMU_FAULT: there is no kernel `{name}`" in p.stderr, p)
    p = child(folder, "computes", CUDAEMU_REPORT=f"{folder}/no/such/folder")
    check("a report that cannot be written", p.returncode == -6 and "CUDAEMU_REPORT: " in p.stderr and "No such file" in p.stderr, p)
    p = child(folder, "computes", CUDAEMU_DEVICES="0")
    check("no device", "Refused: 100" in p.stderr, p)
    cases = len(REFUSED) + len(NOTICED) + 20
    if failed:
        sys.exit("\n".join(f"FAILED {f}" for f in failed) + f"\n{len(failed)} of {cases} checks of the emulated device failed")
    print(f"{cases} checks of the emulated device passed")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        run_case(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2])
    elif len(sys.argv) == 2:
        main(pathlib.Path(sys.argv[1]).resolve())
    else:
        sys.exit(__doc__)
