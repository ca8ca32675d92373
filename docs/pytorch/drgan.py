"""DR-GAN's text encoder and generator in PyTorch, as `drgan export RUN --torch --out DIR` writes their state dicts.

    python drgan.py DIR "a red heart" heart.png

Wants torch, tokenizers and pillow. Names of parameters are those of the released code (generator) and of AttnGAN (text encoder).
"""
import json
import pathlib
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class TextEncoder(nn.Module):
    """Word features (B, D, T), sentence embeddings (B, D) and the padding (B, T) of token ids (B, T)."""

    def __init__(self, words: int, embedding: int, words_dim: int):
        super().__init__()
        self.encoder = nn.Embedding(words, embedding)
        self.rnn = nn.LSTM(embedding, words_dim // 2, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = pack_padded_sequence(self.encoder(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (last, _) = self.rnn(x)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=tokens.shape[1])
        padding = torch.arange(tokens.shape[1], device=tokens.device) >= lengths.unsqueeze(1)
        return states.transpose(1, 2), last.transpose(0, 1).flatten(1), padding


def conv3x3(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)


def up_block(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2), conv3x3(c_in, 2 * c_out), nn.BatchNorm2d(2 * c_out), nn.GLU(1))


class ResidualBlock(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.block = nn.Sequential(
            conv3x3(c, 2 * c), nn.BatchNorm2d(2 * c), nn.GLU(1), conv3x3(c, c), nn.BatchNorm2d(c)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Condition(nn.Module):
    def __init__(self, text_dim: int, nc: int):
        super().__init__()
        self.fc = nn.Linear(text_dim, 4 * nc)

    def forward(self, sentence: Tensor, noise: Tensor) -> Tensor:
        mu, logvar = F.glu(self.fc(sentence), 1).chunk(2, 1)
        return mu + noise * torch.exp(logvar / 2)


class FirstStage(nn.Module):
    def __init__(self, cfg: dict):
        super().__init__()
        wide, doublings = cfg["ngf"] * cfg["base"] // 4, (cfg["base"] // 4).bit_length() - 1
        self.fc = nn.Sequential(
            nn.Linear(cfg["nc"] + cfg["nz"], 32 * wide, bias=False), nn.BatchNorm1d(32 * wide), nn.GLU(1)
        )
        self.blocks = [f"upsample{k + 1}" for k in range(doublings)]
        for k, name in enumerate(self.blocks):
            self.add_module(name, up_block(wide >> k, wide >> (k + 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x).unflatten(1, (-1, 4, 4))
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        return x


def mask_net(c: int, released: bool) -> nn.Sequential:
    if released:
        return nn.Sequential(
            conv3x3(c, c), nn.BatchNorm2d(c), nn.LeakyReLU(0.2), nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)
        )
    return nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.Identity(), nn.ReLU(), nn.Conv2d(c, c, 1))


class WordAttention(nn.Module):
    def __init__(self, text_dim: int, c: int):
        super().__init__()
        self.conv_context = nn.Conv2d(text_dim, c, 1, bias=False)

    def forward(self, h: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        w = self.conv_context(words.unsqueeze(3)).squeeze(3)
        scores = (h.flatten(2).transpose(1, 2) @ w).masked_fill(padding.unsqueeze(1), -torch.inf)
        return (w @ scores.softmax(2).transpose(1, 2)).view_as(h)


class RefineStage(nn.Module):
    def __init__(self, cfg: dict):
        super().__init__()
        c, blocks, released = cfg["ngf"], range(cfg["residual_blocks"]), cfg["form"] == "released"
        self.scale = cfg["mask_logit_scale"]
        self.att = WordAttention(cfg["text_dim"], c)
        self.residual0 = nn.Sequential(*[ResidualBlock(c) for _ in blocks])
        self.reduct_demension2 = mask_net(c, released)
        self.reduct_demension = mask_net(c, released)
        self.residual = nn.Sequential(*[ResidualBlock(2 * c) for _ in blocks])
        self.upsample = up_block(2 * c, c)

    def forward(self, h: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        q = self.residual0(self.att(h, words, padding))
        key_h = h * torch.sigmoid(self.scale * self.reduct_demension2(h))
        key_q = q * torch.sigmoid(self.scale * self.reduct_demension(q))
        return self.upsample(self.residual(torch.cat((key_h, key_q), 1)))


class ImageHead(nn.Module):
    def __init__(self, c: int, released: bool):
        super().__init__()
        layers = [conv3x3(c, 3), nn.Tanh()]
        if released:
            layers = [
                conv3x3(c, c // 2), nn.BatchNorm2d(c // 2), nn.Tanh(),
                conv3x3(c // 2, c // 4), nn.BatchNorm2d(c // 4), nn.Tanh(),
                conv3x3(c // 4, 3), nn.Tanh(),
            ]  # fmt: skip
        self.img = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        return self.img(h)


class Generator(nn.Module):
    """Images (B, 3, side, side) in [-1, 1], a tensor per stage."""

    def __init__(self, cfg: dict):
        super().__init__()
        self.stages = cfg["stages"]
        self.ca_net = Condition(cfg["text_dim"], cfg["nc"])
        self.h_net1 = FirstStage(cfg)
        for i in range(2, self.stages + 1):
            self.add_module(f"h_net{i}", RefineStage(cfg))
        for i in range(1, self.stages + 1):
            self.add_module(f"img_net{i}", ImageHead(cfg["ngf"], cfg["form"] == "released"))

    def forward(self, noise: Tensor, condition_noise: Tensor, words: Tensor, sentence: Tensor, padding: Tensor):
        h = self.h_net1(torch.cat((self.ca_net(sentence, condition_noise), noise), 1))
        images = [self.img_net1(h)]
        for i in range(2, self.stages + 1):
            h = self.get_submodule(f"h_net{i}")(h, words, padding)
            images.append(self.get_submodule(f"img_net{i}")(h))
        return images


def load(folder: pathlib.Path) -> tuple[TextEncoder, Generator, dict]:
    """Both networks in evaluation mode, and the configuration."""
    cfg = json.loads((folder / "config.json").read_text())
    text_encoder = TextEncoder(cfg["text"]["vocab_size"], cfg["text"]["embedding"], cfg["text"]["words_dim"])
    generator = Generator(cfg["generator"])
    for network, name in ((text_encoder, "text_encoder.pth"), (generator, "generator.pth")):
        missing, unexpected = network.load_state_dict(torch.load(folder / name, weights_only=True), strict=False)
        wrong = [key for key in missing if not key.endswith("num_batches_tracked")] + unexpected
        assert not wrong, f"{name}: {wrong}"
    return text_encoder.eval(), generator.eval(), cfg


@torch.inference_mode()
def main(folder: str, caption: str, out: str, seed: str = "0") -> None:
    from PIL import Image
    from tokenizers import Tokenizer

    text_encoder, generator, cfg = load(pathlib.Path(folder))
    ids = Tokenizer.from_file(f"{folder}/tokenizer.json").encode(caption).ids
    ids = [i for i in ids if i != 0][: cfg["max_words"]]  # 0 is the unknown word
    if not ids:
        sys.exit(f"no word of the vocabulary in: {caption}")
    words, sentence, padding = text_encoder(torch.tensor([ids]), torch.tensor([len(ids)]))
    torch.manual_seed(int(seed))
    noise, condition_noise = torch.randn(1, cfg["generator"]["nz"]), torch.randn(1, cfg["generator"]["nc"])
    image = generator(noise, condition_noise, words, sentence, padding)[-1][0]
    Image.fromarray(image.mul(127.5).add(128).clamp(0, 255).byte().permute(1, 2, 0).numpy()).save(out)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
