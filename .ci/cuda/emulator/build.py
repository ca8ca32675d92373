#!/usr/bin/env python3
"""Usage: build.py CANDLE_KERNELS OUR_KERNELS OUT. Makes OUT/libcuda.so.1, OUT/libcublas.so.13, OUT/libcurand.so.10 and
OUT/libcudnn.so.9: a CUDA device that is the CPU. CANDLE_KERNELS is the folder of the .cu files of candle's crate
candle-kernels, OUR_KERNELS one with folders of ours. A program linked with the archives of shims.py finds the libraries by
LD_LIBRARY_PATH=OUT."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
# Those that the program launches; the others of candle's are for sorting and for quantized models.
CANDLE = ["affine", "binary", "cast", "conv", "fill", "indexing", "reduce", "ternary", "unary"]
# Those of which kernels for 16-bit floats are needed, as for compute capability 8.0: weights are kept in that type.
SHORT_FLOATS = ["cast"]
FLAGS = ["-std=c++20", "-O2", "-fPIC", "-w", "-ffp-contract=off", f"-I{HERE}", f"-I{HERE / 'include'}"]
# A pointer that is not aligned as its type wants ends the program, as on a GPU.
KERNEL_FLAGS = ["-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"]
WAITS = re.compile(r"__syncthreads|__syncwarp|__shfl|block_sum")


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def unless_made(made, inputs, make):
    """Makes a file unless it was made of the same inputs before."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [pathlib.Path(__file__), *inputs])).hexdigest()
    marker = made.with_suffix(".made-of")
    if not (made.exists() and marker.exists() and marker.read_text() == digest):
        make()
        marker.write_text(digest)
    return made


def kernels(source, out, ours):
    """The object of a .cu file, with its kernels registered."""
    # A namespace each, since files have functions of one name. What they include has been included before.
    name = source.stem
    path, bare, made = (out / f"{name}{end}" for end in (".cpp", "-bare.o", ".o"))
    text = f'#include "device.h"\n#include "compatibility.cuh"\n#include <cuda/std/limits>\nnamespace of_{name} {{\n#include "{source}"\n}}\n'
    path.write_text(text)
    flags = FLAGS + [f"-I{ours / 'cuda'}"] + ["-D__CUDA_ARCH__=800"] * (name in SHORT_FLOATS)
    run("g++", *flags, "-O0", "-c", "-o", bare, path)
    symbols = subprocess.run(["nm", bare], check=True, capture_output=True, text=True).stdout.splitlines()
    names = [word[2] for word in map(str.split, symbols) if word[1:2] == ["T"] and not word[2].startswith("_Z")]
    if not names:
        sys.exit(f"{source}: no kernel; each has to be extern \"C\" __global__")
    waits = "true" if WAITS.search(source.read_text()) else "false"
    rows = "".join(f'    {{"{name}", [](void **p) {{ emu_call({name}, p); }}, {waits}}},\n' for name in names)
    path.write_text(
        f"{text}using namespace of_{source.stem};\nstatic const emu::Kernel of_file[] = {{\n{rows}}};\n"
        "[[gnu::constructor]] static void add() { emu::register_kernels(of_file, sizeof of_file / sizeof *of_file); }\n"
    )
    run("g++", *flags, *KERNEL_FLAGS, "-c", "-o", made, path)
    return made


def part(name, out):
    made = out / f"{name}.o"
    run("g++", *FLAGS, "-O3", "-Wall", "-Wextra", "-c", "-o", made, HERE / f"{name}.cpp")
    return made


def main(candle, ours, out):
    sources = [candle / f"{name}.cu" for name in CANDLE] + sorted((HERE / "tests").glob("*.cu")) + sorted(ours.rglob("*.cu"))
    headers = sorted([*HERE.rglob("*.h"), *HERE.rglob("*.cuh"), *candle.glob("*.cuh"), *ours.rglob("*.cuh")])
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    # Copies, so that `#include "compatibility.cuh"` finds ours in place of candle's.
    for path in [*candle.glob("*.cu"), *candle.glob("*.cuh")]:
        if path.name != "compatibility.cuh":
            (work / path.name).write_text(path.read_text())
    sources = [work / source.name if source.parent == candle else source for source in sources]

    def made_part(name):
        return unless_made(work / f"{name}.o", [HERE / f"{name}.cpp", *headers], lambda: part(name, work))

    def made_kernels(source):
        return unless_made(work / f"{source.stem}.o", [source, *headers], lambda: kernels(source, work, ours))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        core = list(pool.map(made_part, ["state", "memory", "pinned", "fibers", "driver"]))
        blas, random, dnn = pool.map(made_part, ["blas", "random", "cudnn"])
        core += pool.map(made_kernels, sources)

    def shared(name, *objects):
        inputs = [word for word in objects if isinstance(word, pathlib.Path)]
        unless_made(out / name, inputs, lambda: run("g++", "-shared", f"-Wl,-soname,{name}", "-Wl,-z,defs", "-o", out / name, *objects))

    shared("libcuda.so.1", *core)
    for name, made in [("libcublas.so.13", blas), ("libcurand.so.10", random), ("libcudnn.so.9", dnn)]:
        shared(name, made, f"-L{out}", "-l:libcuda.so.1", "-Wl,-rpath,$ORIGIN")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*(pathlib.Path(word).resolve() for word in sys.argv[1:]))
