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
        self.cuda, self.blas, self.rand = (ctypes.CDLL(str(folder / name)) for name in ("libcuda.so.1", "libcublas.so.13", "libcurand.so.10"))
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


def size(n):
    return ctypes.c_size_t(n)


NOT_STARTED = 3  # CUDA_ERROR_NOT_INITIALIZED
DRIVER = "CUDA Driver API"
LIMITS = "CUDA C++ Programming Guide, technical specifications per compute capability"
CUBLAS = "cuBLAS, cublasGemmStridedBatchedEx"


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
    ("a random stream that was never made", 101, "cuRAND, curandSetStream", lambda d: d.call("curandSetStream", None, ctypes.c_void_p(12345), library=d.rand)),
]


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
    x = d.upload([0.0] * 32)
    d.launch("float_atomic", x)
    assert d.download(x, 1) == [32.0]
    d.call("cuMemFreeAsync", x, d.stream)
    d.memory(1000)


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
    {"noticed": lambda: NOTICED[int(number)][2](device), "computes": lambda: computes(device), "orders": lambda: orders(device), "counts": lambda: counts(device)}[kind]()


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
        wanted = {"launches": 1, "uploads": 1, "upload_bytes": 128, "downloads": 1, "download_bytes": 4, "allocations": 2, "float_atomics": 32,
                  "live_bytes": 1000, "peak_bytes": 1000, "streams": 1, "kernels": {"test_float_atomic": 1}}
        check(f"counts {report}", p.returncode == 0 and all(report[k] == v for k, v in wanted.items()), p)
    p = child(folder, "computes", CUDAEMU_DEVICES="0")
    check("no device", "Refused: 100" in p.stderr, p)
    cases = len(REFUSED) + len(NOTICED) + 12
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
