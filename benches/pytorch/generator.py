"""The generator and the real image path, in the paper's form. Names are those of the Rust crates' state dicts."""
from typing import NamedTuple

import torch
from torch import Tensor, nn

from layers import ConditionNet, FromVector, ResidualBlock, conv3x3, sample, up_block


class Split(NamedTuple):
    """Key and non-key parts of the image's and of the context's features."""

    key_image: Tensor
    non_key_image: Tensor
    key_context: Tensor
    non_key_context: Tensor


class Made(NamedTuple):
    images: list[Tensor]
    splits: list[Split]
    mu: Tensor
    logvar: Tensor


class WordAttention(nn.Module):
    def __init__(self, text_dim: int, channels: int):
        super().__init__()
        self.conv_context = nn.Conv2d(text_dim, channels, 1, bias=False)

    def forward(self, h: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        w = self.conv_context(words.unsqueeze(3)).squeeze(3)  # (B, C, T)
        scores = torch.bmm(h.flatten(2).transpose(1, 2), w)  # (B, HW, T)
        theta = scores.masked_fill(padding.unsqueeze(1), -torch.inf).softmax(dim=2)
        return torch.bmm(w, theta.transpose(1, 2)).view_as(h)


def mask_net(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.Identity(),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1),
    )


class RefineStage(nn.Module):
    def __init__(self, cfg: dict):
        super().__init__()
        c, blocks = cfg["ngf"], range(cfg["residual_blocks"])
        self.att = WordAttention(cfg["text_dim"], c)
        self.residual0 = nn.Sequential(*[ResidualBlock(c) for _ in blocks])
        self.reduct_demension2 = mask_net(c)  # the image's mask
        self.reduct_demension = mask_net(c)  # the context's mask
        self.residual = nn.Sequential(*[ResidualBlock(2 * c) for _ in blocks])
        self.upsample = up_block(2 * c, c)

    def forward(self, h: Tensor, words: Tensor, padding: Tensor) -> tuple[Tensor, Split]:
        q = self.residual0(self.att(h, words, padding))
        key_h = h * torch.sigmoid(self.reduct_demension2(h))
        key_q = q * torch.sigmoid(self.reduct_demension(q))
        joint = self.residual(torch.cat((key_h, key_q), dim=1))
        # What inference has no use for is not computed there.
        rest = (h - key_h, q - key_q) if self.training else (None, None)
        return self.upsample(joint), Split(key_h, rest[0], key_q, rest[1])


class ImageHead(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.img = nn.Sequential(conv3x3(channels, 3))

    def forward(self, h: Tensor) -> Tensor:
        return torch.tanh(self.img(h))


class Generator(nn.Module):
    def __init__(self, cfg: dict):
        super().__init__()
        base, ngf, self.stages = cfg["base"], cfg["ngf"], cfg["stages"]
        self.ca_net = ConditionNet(cfg["text_dim"], cfg["nc"])
        doublings = (base // 4).bit_length() - 1
        self.h_net1 = FromVector(cfg["nc"] + cfg["nz"], ngf * base // 4, doublings)
        for i in range(1, self.stages):
            self.add_module(f"h_net{i + 1}", RefineStage(cfg))
        for i in range(self.stages):
            self.add_module(f"img_net{i + 1}", ImageHead(ngf))

    def forward(self, z: Tensor, eps: Tensor, words: Tensor, sentence: Tensor, padding: Tensor) -> Made:
        mu, logvar = self.ca_net(sentence)
        h = self.h_net1(torch.cat((sample(mu, logvar, eps), z), dim=1))
        images, splits = [self.img_net1(h)], []
        for i in range(1, self.stages):
            h, split = self.get_submodule(f"h_net{i + 1}")(h, words, padding)
            images.append(self.decode(i, h))
            splits.append(split)
        return Made(images, splits, mu, logvar)

    def decode(self, stage: int, h: Tensor) -> Tensor:
        return self.get_submodule(f"img_net{stage + 1}")(h)


class RealImageEncoder(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.img_code_sxx = nn.Sequential(
            conv3x3(3, half),
            nn.BatchNorm2d(half),
            nn.LeakyReLU(0.2, inplace=True),
            conv3x3(half, channels),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.2, inplace=True),
            ResidualBlock(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.img_code_sxx(x)


class RealImagePath(nn.Module):
    """An encoder of real images for each stage but the first."""

    def __init__(self, cfg: dict):
        super().__init__()
        for i in range(1, cfg["stages"]):
            self.add_module(f"h_net{i + 1}", RealImageEncoder(cfg["ngf"]))

    def forward(self, stage: int, images: Tensor) -> Tensor:
        return self.get_submodule(f"h_net{stage + 1}")(images)
