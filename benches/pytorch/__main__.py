"""The PyTorch side of `cargo xtask bench --peer`: python benches/pytorch ROW THREADS DIR.

DIR holds settings.json and inputs.safetensors, which the Rust side writes; what is to be compared goes to
peer.safetensors. Then `ready BYTES` on standard output, and for each line `run N` of standard input N iterations and their
seconds; at `quit`, the largest resident memory since `ready`.
"""
import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from rows import build


def resident(field: str) -> int:
    """A field of /proc/self/status in bytes: VmRSS, or VmHWM."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])


def main() -> None:
    name, threads, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(threads)
    settings = json.loads((folder / "settings.json").read_text())
    row = build(name, settings, load_file(folder / "inputs.safetensors"))
    save_file(row.first(), folder / "peer.safetensors")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    print("ready", resident("VmRSS"), flush=True)
    for line in sys.stdin:
        match line.split():
            case ["run", times]:
                start = time.perf_counter()
                for _ in range(int(times)):
                    row.run()
                print(time.perf_counter() - start, flush=True)
            case ["quit"]:
                print(resident("VmHWM"), flush=True)
                return
            case other:
                sys.exit(f"expected run N or quit, got {other!r}")


if __name__ == "__main__":
    main()
