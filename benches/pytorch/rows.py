"""The rows of the table: what is built, what is compared, what is timed."""
import torch
from torch import Tensor

from fill import fill
from generator import Generator
from step import Trainer


class Image:
    """Features of captions to the finest image."""

    def __init__(self, cfg: dict, inputs: dict, bf16: bool, compiled: bool):
        dtype = torch.bfloat16 if bf16 else torch.float32
        self.generator = fill(Generator(cfg["generator"]), "generator.").eval().requires_grad_(False).to(dtype)
        if bf16:
            self.generator.to(memory_format=torch.channels_last)
        if compiled:
            self.generator = torch.compile(self.generator)
        names = ("z", "eps", "words", "sentence")
        self.inputs = [inputs[name].to(dtype) for name in names] + [inputs["padding"]]

    @torch.inference_mode()
    def run(self) -> Tensor:
        return self.generator(*self.inputs).images[-1]

    def first(self) -> dict[str, Tensor]:
        return {"image": self.run().float().contiguous()}


class Step:
    """A training step. The first ones' noise is given, so that their numbers can be compared."""

    def __init__(self, cfg: dict, inputs: dict):
        self.trainer, self.batch = Trainer(cfg), inputs
        self.noise = {n: t for n, t in inputs.items() if n in ("z", "eps") or n.startswith("d")}

    def run(self) -> None:
        self.trainer.step(self.batch, {name: torch.randn_like(t) for name, t in self.noise.items()})

    def first(self) -> dict[str, Tensor]:
        return self.trainer.first(self.batch, self.noise)


def build(row: str, cfg: dict, inputs: dict) -> Image | Step:
    inputs["padding"] = inputs["padding"].bool()
    if row.startswith("image-"):
        return Image(cfg, inputs, row.endswith("-bf16"), row.endswith("-compiled"))
    return Step(cfg, inputs)
