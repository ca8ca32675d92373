"""How many bytes of tensors a training step keeps at its peak: python benches/pytorch/memory.py RUN.

RUN is a run's folder, whose config.toml has the sizes. Nothing is computed: tensors are of the device `meta` and have sizes
alone. Each storage counts from the operation that makes it until its last tensor is gone. What cuDNN and cuBLAS compute in is no
tensor. docs/cuda.md (Memory) says what it is compared with.
"""
import json
import sys
import tomllib
import weakref
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import fill
from batch import noise, sizes

fill.fill = lambda module, prefix: module  # weights have sizes alone
from step import Trainer  # noqa: E402: takes `fill` by its name


class Live(TorchDispatchMode):
    """Counts the bytes of storages that operations have made and that are still there."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.storages: weakref.WeakSet = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.untyped_storage() not in self.storages:
                storage, size = tensor.untyped_storage(), tensor.untyped_storage().nbytes()
                self.storages.add(storage)
                weakref.finalize(storage, self._gone, size)
                self.now += size
                self.peak = max(self.peak, self.now)
        return made

    def _gone(self, size: int) -> None:
        self.now -= size


def main() -> None:
    cfg = tomllib.loads((Path(sys.argv[1]) / "config.toml").read_text())
    for network in ("generator", "discriminator"):
        cfg[network]["text_dim"] = cfg["text"]["words_dim"]
    Tensor.item = lambda _: 1.0  # losses for the log, the optimizers' count of steps
    live = Live()
    with live, torch.device("meta"):
        trainer = Trainer(cfg)
        for opt in (trainer.generator_opt, trainer.real_image_opt, *trainer.discriminator_opts):
            for group in opt.param_groups:
                group |= {"fused": False, "foreach": False}  # the fused one is not made for `meta`; no other needs less
        b, words = cfg["loader"]["batch"], cfg["damsm"]["max_words"]
        made = {name: torch.empty(shape) for name, shape in sizes(cfg).items()} | {"padding": torch.empty(b, words, dtype=torch.bool)}
        trainer.step(made, noise(made))  # makes the optimizers' moments
        before = live.now
        live.peak = before
        trainer.step(made, noise(made))
    print(json.dumps({"torch": torch.__version__, "batch": cfg["loader"]["batch"], "at_rest_bytes": before, "peak_bytes": live.peak}))


if __name__ == "__main__":
    main()
