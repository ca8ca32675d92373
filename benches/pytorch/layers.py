"""Layers that the generator and the discriminators share."""
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)


def up_block(c_in: int, c_out: int) -> nn.Sequential:
    """Twice the side."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        conv3x3(c_in, 2 * c_out),
        nn.BatchNorm2d(2 * c_out),
        nn.GLU(dim=1),
    )


class ResidualBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.block = nn.Sequential(
            conv3x3(channels, 2 * channels),
            nn.BatchNorm2d(2 * channels),
            nn.GLU(dim=1),
            conv3x3(channels, channels),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class ConditionNet(nn.Module):
    """A vector to the mean and the logarithm of the variance of a Gaussian."""

    def __init__(self, c_in: int, dims: int):
        super().__init__()
        self.fc = nn.Linear(c_in, 4 * dims)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.glu(self.fc(x), dim=1).chunk(2, dim=1)


def sample(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    return mu + eps * torch.exp(0.5 * logvar)


class FromVector(nn.Module):
    """A vector to a 4x4 map, then `doublings` up-blocks, each halving the channels."""

    def __init__(self, c_in: int, channels: int, doublings: int):
        super().__init__()
        self.channels, self.doublings = channels, doublings
        self.fc = nn.Sequential(
            nn.Linear(c_in, 32 * channels, bias=False), nn.BatchNorm1d(32 * channels), nn.GLU(dim=1)
        )
        for k in range(doublings):
            self.add_module(f"upsample{k + 1}", up_block(channels >> k, channels >> (k + 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x).view(-1, self.channels, 4, 4)
        for k in range(self.doublings):
            x = self.get_submodule(f"upsample{k + 1}")(x)
        return x


class SpectralConv2d(nn.Module):
    """A convolution divided by its largest singular value, found by one power iteration a training pass."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, padding: int):
        super().__init__()
        self.stride, self.padding, self.frozen = stride, padding, False
        self.weight_bar = nn.Parameter(torch.empty(c_out, c_in, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(c_out))
        self.register_buffer("weight_u", torch.empty(c_out))
        self.register_buffer("weight_v", torch.empty(c_in * kernel * kernel))

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight_bar.flatten(1)
        if self.training and not self.frozen:
            with torch.no_grad():  # new tensors: the graph of the pass before keeps the old ones
                self.weight_v = F.normalize(torch.mv(w.t(), self.weight_u), dim=0, eps=1e-12)
                self.weight_u = F.normalize(torch.mv(w, self.weight_v), dim=0, eps=1e-12)
        sigma = torch.dot(self.weight_u, torch.mv(w, self.weight_v))
        return F.conv2d(x, self.weight_bar / sigma, self.bias, self.stride, self.padding)


class Spectral(nn.Module):
    """Holds its layer as `module`, as the authors' state dicts do; a LeakyReLU after it."""

    def __init__(self, *sizes: int):
        super().__init__()
        self.module = SpectralConv2d(*sizes)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.module(x), 0.2, inplace=True)


def freeze(network: nn.Module, frozen: bool) -> None:
    """A constant of another network's step: no gradient of its weights, no running statistics updated; it normalises by the batch."""
    network.requires_grad_(not frozen)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.0 if frozen else 0.1
        elif isinstance(module, SpectralConv2d):
            module.frozen = frozen
