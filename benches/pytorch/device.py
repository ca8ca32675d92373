"""The speed of training and of sampling in PyTorch on a device: python benches/pytorch/device.py SETTINGS WORK VARIANT DEVICE.

SETTINGS is a JSON file of a run's settings, WORK `train` or `sample`, DEVICE as the device check names it, such as `cuda:0`. VARIANT:

    eager           f32 without TF32
    tf32            products and convolutions in TF32
    channels-last   the same with maps in the order of NHWC
    compile         the same as tf32, the networks under torch.compile
    bf16            under autocast, channels last

Prints one JSON object: seconds of the runs, images per second by their median, the peak of tensors' bytes.
"""
import contextlib
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

from batch import batch, noise
from fill import fill
from generator import Generator
from step import Trainer

VARIANTS = ("eager", "tf32", "channels-last", "compile", "bf16")
UNTIMED, LEAST, MOST, SECONDS = 3, 3, 100, 3.0


def prepare(networks: list[nn.Module], variant: str) -> None:
    for network in networks:
        if variant in ("channels-last", "bf16"):
            network.to(memory_format=torch.channels_last)
        if variant == "compile":
            network.compile()


def runner(work: str, cfg: dict, variant: str, on: torch.device):
    """One training step, or the drawing of a batch."""
    made = batch(cfg)
    rounded = (lambda: torch.autocast(on.type, dtype=torch.bfloat16)) if variant == "bf16" else contextlib.nullcontext
    if work == "train":
        trainer = Trainer(cfg)
        prepare([trainer.generator, trainer.real_image, *trainer.discriminators, trainer.encoder], variant)

        def step() -> None:
            with rounded():
                trainer.step(made, {name: torch.randn_like(value) for name, value in noise(made).items()})

        return step
    generator = fill(Generator(cfg["generator"]), "generator.").eval().requires_grad_(False)
    prepare([generator], variant)
    inputs = [made[name] for name in ("z", "eps", "words", "sentence", "padding")]

    def draw() -> None:
        with torch.inference_mode(), rounded():
            generator(*inputs)

    return draw


def main() -> None:
    settings, work, variant, device = sys.argv[1:]
    if work not in ("train", "sample") or variant not in VARIANTS:
        sys.exit(__doc__)
    cfg = json.loads(Path(settings).read_text())
    on = torch.device(device)
    torch.set_default_device(on)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = variant != "eager"
    wait = torch.cuda.synchronize if on.type == "cuda" else lambda: None
    run = runner(work, cfg, variant, on)
    for _ in range(UNTIMED):
        run()
    wait()
    if on.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds, begun = [], time.perf_counter()
    while len(seconds) < LEAST or (time.perf_counter() - begun < SECONDS and len(seconds) < MOST):
        start = time.perf_counter()
        run()
        wait()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    peak = torch.cuda.max_memory_allocated() if on.type == "cuda" else None
    found = {"images_per_second": cfg["loader"]["batch"] / median, "seconds": seconds, "peak_bytes": peak, "torch": torch.__version__}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
