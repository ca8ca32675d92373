#!/usr/bin/env python3
"""Usage: mutate.py [FILTER]. Makes the CUDA kernels and their launches wrong, one fault at a time, and says whether a test
notices: the faults of mutations.txt whose line contains FILTER, or all. `cargo xtask mutate` runs it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
KERNELS = ROOT / "crates/drgan-kernels/src"
CARGO = ["cargo", "test", "--locked", "--release", "--workspace", "--features", "drgan/cuda"]


class Mutation:
    """A line of mutations.txt: `TESTS | FILE | FROM | TO` or `TESTS | launch | KERNEL | FAULT`; TESTS is a test program and
    a filter of its tests, after variables of the environment (`NAME=VALUE`)."""

    def __init__(self, line):
        self.line = line
        self.test, self.file, self.old, self.new = (word.strip().replace("\\n", "\n") for word in line.split(" | "))
        self.new = "" if self.new == "nothing" else self.new
        words = self.test.split()
        self.variables = dict(word.split("=", 1) for word in words if "=" in word)
        self.program, *self.filters = [word for word in words if "=" not in word]

    def environment(self, folder):
        if self.file == "launch":
            return {"CUDAEMU_FAULT": f"{self.old}:{self.new}"}
        return {"LD_LIBRARY_PATH": str(folder)}


def read(filter):
    lines = (HERE / "mutations.txt").read_text().splitlines()
    return [Mutation(line) for line in lines if line and not line.startswith("#") and filter in line]


def programs(names):
    """The test programs of these names, built."""
    wanted = [word for name in sorted(names) for word in ("--test", name)]
    made = subprocess.run([*CARGO, *wanted, "--no-run", "--message-format=json"], cwd=ROOT, check=True, capture_output=True, text=True)
    found = {}
    for line in made.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["kind"] == ["test"]:
            found[message["target"]["name"]] = message["executable"]
    return found


def build(candle, kernels, out):
    subprocess.run([sys.executable, HERE / "emulator/build.py", candle, kernels, out], check=True, capture_output=True, text=True)


def main(filter=""):
    mutations = read(filter)
    if not mutations:
        sys.exit(f"mutate.py: no fault of mutations.txt contains `{filter}`")
    candle = candle_kernels()
    emulator = pathlib.Path(os.environ["CUDA_TOOLS"]) / "device"
    build(candle, KERNELS, emulator)
    tests = programs({mutation.program for mutation in mutations})

    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        changed, out = pathlib.Path(scratch) / "src", pathlib.Path(scratch) / "device"
        for number, mutation in enumerate(mutations, 1):
            if mutation.file != "launch":
                shutil.rmtree(changed, ignore_errors=True)
                shutil.copytree(KERNELS, changed)
                if not out.exists():
                    shutil.copytree(emulator, out)
                path = changed / mutation.file
                text = path.read_text()
                if text.count(mutation.old) != 1:
                    sys.exit(f"mutations.txt: `{mutation.old}` stands {text.count(mutation.old)} times in {mutation.file}, not once")
                path.write_text(text.replace(mutation.old, mutation.new))
                build(candle, changed, out)
            environment = {**os.environ, "DRGAN_TEST_DEVICE": "cuda", "LD_LIBRARY_PATH": str(emulator), **mutation.variables, **mutation.environment(out)}
            command = [tests[mutation.program], "--test-threads", "1", *mutation.filters]
            try:
                ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
                noticed, said = ended.returncode != 0, ended.stdout + ended.stderr
                if not noticed and "running 0 tests" in said:
                    sys.exit(f"mutations.txt: {mutation.test} names no test")
            except subprocess.TimeoutExpired:
                noticed, said = True, "no end after 300 s"
            survivors += not noticed
            by = re.search(r"^test (\S+) \.\.\. FAILED", said, re.M)
            by = by[1] if by else next((line for line in said.splitlines() if "emulated device" in line), "its end") if noticed else ""
            print(f"{number:3}/{len(mutations)} {'noticed by ' + by if noticed else 'SURVIVED'}: {mutation.line}", flush=True)
    print(f"{len(mutations) - survivors} of {len(mutations)} faults were noticed")
    return survivors > 0


def candle_kernels():
    found = subprocess.run(["cargo", "metadata", "--locked", "--format-version", "1", "--features", "drgan/cuda"], cwd=ROOT, check=True,
                           capture_output=True, text=True)
    packages = json.loads(found.stdout)["packages"]
    return next(pathlib.Path(p["manifest_path"]).parent / "src" for p in packages if p["name"] == "candle-kernels")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
