#!/usr/bin/env python3
"""Usage: shims.py CUDARC OUT. Makes OUT/libcuda.a, OUT/libcublas.a and so on, of the functions that the crate cudarc (its
sources lie in CUDARC) declares.

Each function of such an archive is a jump to the one of the real library, which is looked up at the first call. A program
linked with the archives needs no CUDA library to start. Where a library is missing, its functions return the number by
which NVIDIA's own stub of libcuda says so (34, CUDA_ERROR_STUB_LIBRARY); where it is there and lacks a function, 500
(CUDA_ERROR_NOT_FOUND)."""

import pathlib
import re
import subprocess
import sys

# What is linked, cudarc's module that declares its functions, the names it has at run time, and what its functions return
# where the library is missing and where it lacks the function: numbers that the library's own type of status has.
LIBRARIES = {
    "cuda": ("driver", ["libcuda.so.1"], 34, 500),  # CUDA_ERROR_STUB_LIBRARY, CUDA_ERROR_NOT_FOUND
    "cublas": ("cublas", ["libcublas.so.13"], 1, 15),  # CUBLAS_STATUS_NOT_INITIALIZED, _NOT_SUPPORTED
    "cublasLt": ("cublaslt", ["libcublasLt.so.13"], 1, 15),
    "curand": ("curand", ["libcurand.so.10"], 101, 999),  # CURAND_STATUS_NOT_INITIALIZED, _INTERNAL_ERROR
    "cudnn": ("cudnn", ["libcudnn.so.9"], 1001, 3000),  # CUDNN_STATUS_NOT_INITIALIZED, _NOT_SUPPORTED
    "nvrtc": ("nvrtc", ["libnvrtc.so.13"], 11, 11),  # NVRTC_ERROR_INTERNAL_ERROR
    "cudart": ("runtime", ["libcudart.so.13"], 34, 500),  # cudaErrorStubLibrary, cudaErrorSymbolNotFound
    "nccl": ("nccl", ["libnccl.so.2"], 3, 3),  # ncclInternalError
}

# %r11 is the register that a callee may overwrite before it has looked at any argument. It leads to the function's own
# cell: where to jump, its name, and what it returns where it is missing.
ASSEMBLY = """
.macro shim name, otherwise
.section .text.\\name,"ax",@progbits
.globl \\name
.type \\name,@function
\\name:
  jmp *cell_\\name(%rip)
first_\\name:
  leaq cell_\\name(%rip), %r11
  jmp look_up
.section .rodata.\\name,"a",@progbits
text_\\name: .asciz "\\name"
.section .data.\\name,"aw",@progbits
.balign 8
cell_\\name: .quad first_\\name, text_\\name, \\otherwise
.endm

.text
.type look_up,@function
look_up: # keeps everything that may hold an argument
  pushq %rbp
  movq %rsp, %rbp
  pushq %rdi; pushq %rsi; pushq %rdx; pushq %rcx; pushq %r8; pushq %r9; pushq %rax; pushq %r11
  subq $128, %rsp
  movups %xmm0, 0(%rsp); movups %xmm1, 16(%rsp); movups %xmm2, 32(%rsp); movups %xmm3, 48(%rsp)
  movups %xmm4, 64(%rsp); movups %xmm5, 80(%rsp); movups %xmm6, 96(%rsp); movups %xmm7, 112(%rsp)
  movq %r11, %rdi
  andq $-16, %rsp
  call shim_find_LIBRARY
  leaq -192(%rbp), %rsp
  movups 0(%rsp), %xmm0; movups 16(%rsp), %xmm1; movups 32(%rsp), %xmm2; movups 48(%rsp), %xmm3
  movups 64(%rsp), %xmm4; movups 80(%rsp), %xmm5; movups 96(%rsp), %xmm6; movups 112(%rsp), %xmm7
  addq $128, %rsp
  popq %r11; popq %rax; popq %r9; popq %r8; popq %rcx; popq %rdx; popq %rsi; popq %rdi
  popq %rbp
  jmp *(%r11)
.section .note.GNU-stack,"",@progbits
"""

C = """
#include <dlfcn.h>
#include <stddef.h>

struct cell { void *jump; const char *name; size_t otherwise; };
static const char *const files[] = {FILES, NULL};

static int no_library(void) { return MISSING; }
static int no_function(void) { return LACKING; }
static const char *no_text(void) { return "the library LIBRARY is not installed"; }
static size_t no_number(void) { return 0; }

__attribute__((visibility("hidden"))) void shim_find_LIBRARY(struct cell *cell) {
    void *library = NULL, *found = NULL;
    for (const char *const *file = files; *file && !library; file++) library = dlopen(*file, RTLD_NOW | RTLD_LOCAL);
    if (library) found = dlsym(library, cell->name);
    if (!found && cell->otherwise == 1) found = (void *)no_text;
    if (!found && cell->otherwise == 2) found = (void *)no_number;
    if (!found) found = library ? (void *)no_function : (void *)no_library;
    __atomic_store_n(&cell->jump, found, __ATOMIC_RELEASE);
}
"""

DECLARED = re.compile(r"^ +fn (\w+)\(.*\)(?: -> (.*))?;$", re.MULTILINE)


def functions(source):
    """The functions that a file of cudarc declares: name, and what kind of value it returns."""
    kinds = {}
    for name, returns in DECLARED.findall(source.read_text()):
        kinds[name] = 1 if returns.endswith("c_char") else 2 if returns in ("usize", "") else 0
    if not kinds:
        sys.exit(f"shims.py: {source} declares no function; has cudarc changed its form?")
    return sorted(kinds.items())


def main(cudarc, out):
    marker = out / "made-of"
    text = f"{cudarc}\n{pathlib.Path(__file__).read_text()}"
    if marker.exists() and marker.read_text() == text:
        return
    out.mkdir(parents=True, exist_ok=True)
    for library, (module, files, missing, lacking) in LIBRARIES.items():
        kinds = functions(cudarc / "src" / module / "sys" / "mod.rs")
        shims = "".join(f"shim {name}, {kind}\n" for name, kind in kinds)
        assembly = ASSEMBLY.replace("LIBRARY", library).replace(".text\n.type", f"{shims}.text\n.type", 1)
        names = ", ".join(f'"{file}"' for file in files)
        (out / f"{library}.s").write_text(assembly)
        code = C.replace("FILES", names).replace("LIBRARY", library)
        (out / f"{library}.c").write_text(code.replace("MISSING", str(missing)).replace("LACKING", str(lacking)))
        objects = []
        for source in (out / f"{library}.s", out / f"{library}.c"):
            objects.append(source.with_name(source.name.replace(".", "-") + ".o"))
            subprocess.run(["gcc", "-O1", "-fPIC", "-c", "-o", objects[-1], source], check=True)
        archive = out / f"lib{library}.a"
        archive.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", archive, *objects], check=True)
    marker.write_text(text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
