#!/bin/sh
# Checks a CUDA device with the program beside this script: `./device-check --help`. NVIDIA's libraries (cuBLAS, cuRAND, cuDNN) are
# taken from where the system has them, or from the Python that has PyTorch, which brings them along: `python3`, or DRGAN_PYTHON.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
libraries=$("${DRGAN_PYTHON:-python3}" - 2>/dev/null <<'PYTHON'
import glob, os, sys
found = {os.path.dirname(file) for folder in sys.path for file in glob.glob(os.path.join(folder, "nvidia", "*", "lib", "lib*.so*"))}
print(":".join(sorted(found)))
PYTHON
)
if test -n "$libraries"; then
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
  export LD_LIBRARY_PATH
fi
exec "$here/drgan-device-check" "$@"
