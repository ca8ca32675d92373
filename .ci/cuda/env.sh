# To be sourced with a folder for tools: `. .ci/cuda/env.sh target/cuda`. Afterwards cargo builds with `--features cuda` on a
# machine that has bash, Python 3 with pip, gcc and g++, and nothing of CUDA.
cuda_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
CUDA_TOOLS=$(cd "$1" && pwd)
export CUDA_TOOLS

# The wheels; a marker tells a whole installation from a cut one.
if ! cmp -s "$cuda_here/requirements.txt" "$CUDA_TOOLS/wheels/requirements.txt"; then
  rm -rf "$CUDA_TOOLS/wheels"
  python3 -m pip install --quiet --no-compile --no-deps --require-hashes --disable-pip-version-check \
    --root-user-action=ignore --target "$CUDA_TOOLS/wheels" -r "$cuda_here/requirements.txt"
  chmod +x "$CUDA_TOOLS"/wheels/nvidia/cu13/{bin,nvvm/bin}/*
  cp "$cuda_here/requirements.txt" "$CUDA_TOOLS/wheels/"
fi

export NVCC_REAL=$CUDA_TOOLS/wheels/nvidia/cu13/bin/nvcc # what the shim calls
export NVCC=$cuda_here/nvcc                              # what candle-kernels and drgan-kernels call
export CUDARC_CUDA_VERSION=13000                         # or cudarc would ask an nvcc on the PATH
export CUDA_COMPUTE_CAP=80                               # PTX that every card from A100 and RTX 30 on compiles for itself

# The link shims are made of cudarc's own list of functions.
cudarc=$(cargo metadata --locked --format-version 1 --features drgan/cuda --manifest-path "$cuda_here/../../Cargo.toml" |
  python3 -c 'import json,sys; print(*[p["manifest_path"][:-10] for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"])')
python3 "$cuda_here/shims.py" "$cudarc" "$CUDA_TOOLS/shims"
export LIBRARY_PATH=$CUDA_TOOLS/shims${LIBRARY_PATH:+:$LIBRARY_PATH}
