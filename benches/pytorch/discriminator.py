"""A stage's discriminator with its variational autoencoder, in the paper's form."""
from typing import NamedTuple

import torch
from torch import Tensor, nn

from layers import ConditionNet, FromVector, Spectral, sample


class Said(NamedTuple):
    features: Tensor
    unconditional: Tensor
    conditional: Tensor
    mu: Tensor
    logvar: Tensor
    reconstruction: Tensor


def logits(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 1, 4, stride=4))


class Unconditional(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.outlogits = logits(channels)

    def forward(self, features: Tensor) -> Tensor:
        return self.outlogits(features).flatten()


class Conditional(nn.Module):
    def __init__(self, channels: int, text_dim: int):
        super().__init__()
        self.jointConv = nn.Sequential(Spectral(channels + text_dim, channels, 3, 1, 1))
        self.outlogits = logits(channels)

    def forward(self, features: Tensor, sentence: Tensor) -> Tensor:
        spread = sentence[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self.outlogits(self.jointConv(torch.cat((features, spread), dim=1))).flatten()


class Discriminator(nn.Module):
    def __init__(self, side: int, base: int, ndf: int, text_dim: int, latent: int):
        super().__init__()
        features = 8 * ndf
        halvings = (side // 4).bit_length() - 1
        chain = min(halvings, 4)
        layers, channels = [], 3
        for k in range(chain):
            out = ndf << (4 - chain + k)
            # The odd places are the rectifiers' in the authors' numbering.
            layers += [Spectral(channels, out, 4, 2, 1), nn.Identity()]
            channels = out
        self.img_code_s16 = nn.Sequential(*layers[:-1])
        encoder, extra = ["img_code_s16"], halvings - chain
        for j in range(1, extra + 1):
            encoder.append(f"img_code_s{16 << j}")
            self.add_module(encoder[-1], nn.Sequential(Spectral(channels, 2 * channels, 4, 2, 1)))
            channels *= 2
        for j in range(1, extra + 1):
            encoder.append(f"img_code_s{16 << extra}_{j}")
            self.add_module(encoder[-1], nn.Sequential(Spectral(channels, channels // 2, 3, 1, 1)))
            channels //= 2
        self.encoder = encoder
        self.UNCOND_DNET = Unconditional(features)
        self.COND_DNET = Conditional(features, text_dim)
        self.phi = ConditionNet(features, latent)
        self.ca_net = ConditionNet(text_dim, latent)
        self.h_net1 = FromVector(2 * latent, ndf * base // 4, (base // 4).bit_length() - 1)
        self.img_code_s1 = nn.Sequential(nn.Conv2d(ndf, 3, 1, bias=False))

    def forward(self, images: Tensor, sentence: Tensor, eps: Tensor) -> Said:
        v = images
        for name in self.encoder:
            v = self.get_submodule(name)(v)
        mu, logvar = self.phi(v.mean(dim=(2, 3)))
        code, _ = self.ca_net(sentence)
        image = self.h_net1(torch.cat((code, sample(mu, logvar, eps)), dim=1))
        image = torch.tanh(self.img_code_s1(image))
        return Said(v, self.UNCOND_DNET(v), self.COND_DNET(v, sentence), mu, logvar, image)
