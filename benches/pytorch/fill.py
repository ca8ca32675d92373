"""Weights by the golden files' rule: they follow from a salt and each parameter's name (docs/model.md, Golden files)."""
import math

import numpy as np
import torch
from torch import nn

SALT = "seed-a"


def _fnv1a(data: bytes) -> int:
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def _uniform(name: str, count: int) -> np.ndarray:
    """SplitMix64 of the name's hash and each index, its top 24 bits scaled to [-1, 1)."""
    z = np.arange(1, count + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(_fnv1a(f"{SALT}/{name}".encode()))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def values(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The value of the parameter `name`, its prefix included."""
    u = _uniform(name, math.prod(shape))
    if len(shape) >= 2:
        u *= math.sqrt(3 / math.prod(shape[1:]))
    elif name.endswith("running_var"):
        u = 1 + 0.25 * u
    elif name.endswith("running_mean"):
        u = 0.1 * u
    elif name.endswith(("_u", "_v")):
        u /= np.linalg.norm(u)
    elif name.endswith("weight"):
        u = 1 + 0.1 * u
    else:
        u = 0.05 * u
    return torch.from_numpy(u.astype(np.float32).reshape(shape))


@torch.no_grad()
def fill(module: nn.Module, prefix: str) -> nn.Module:
    """Gives every parameter and buffer of `module` its value; `prefix` stands before each name."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():  # not the batch counters
            tensor.copy_(values(prefix + name, tuple(tensor.shape)))
    return module
