"""A batch of made-up images and captions with the noise of a step, by a run's settings."""
import torch
from torch import Tensor


def sizes(cfg: dict) -> dict[str, tuple[int, ...]]:
    """The shapes of all that a training step reads but the padding, by the names that `Trainer.step` knows."""
    b, g, d, words = cfg["loader"]["batch"], cfg["generator"], cfg["discriminator"], cfg["damsm"]["max_words"]
    shapes = {"z": (b, g["nz"]), "eps": (b, g["nc"]), "words": (b, d["text_dim"], words), "sentence": (b, d["text_dim"])}
    for side in (g["base"] << i for i in range(g["stages"])):
        shapes[f"real{side}"] = (b, 3, side, side)
        shapes |= {f"d{side}.{name}": (b, d["latent"]) for name in ("real", "fake", "frozen")}
    return shapes


def batch(cfg: dict) -> dict[str, Tensor]:
    """Values on the default device: noise, features and images in [-1, 1], captions of all lengths from four words less on."""
    made = {name: torch.randn(shape) for name, shape in sizes(cfg).items()}
    made = {name: value.tanh() if name.startswith(("real", "words", "sentence")) else value for name, value in made.items()}
    b, words = cfg["loader"]["batch"], cfg["damsm"]["max_words"]
    lengths = torch.tensor([max(words - i % 4 * 2, 1) for i in range(b)])
    made["padding"] = torch.arange(words)[None, :] >= lengths[:, None]
    return made


def noise(made: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of a batch is drawn anew for each step."""
    return {name: value for name, value in made.items() if name in ("z", "eps") or name.startswith("d")}
