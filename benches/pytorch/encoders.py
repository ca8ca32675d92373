"""Frozen image encoders of the DAMSM: Inception-v3 and EfficientNet-Lite0, batch normalisation folded into convolutions."""
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

EPS = 1e-3


class ConvBn(nn.Module):
    """Convolution, batch normalisation by running statistics, ReLU; torchvision's names."""

    def __init__(self, c_in: int, c_out: int, kernel: int | tuple[int, int], stride: int = 1, padding="same"):
        super().__init__()
        if padding == "same":
            kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
            padding = (kh // 2, kw // 2)
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=EPS)

    def fold(self) -> None:
        self.conv, self.bn = fuse_conv_bn_eval(self.conv, self.bn), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Block(nn.Module):
    """Branches beside each other, joined by channel. A branch is a chain of names, and names that fork from its end."""

    def __init__(self, c_in: int, convs: dict, branches: list, pool: int | None):
        super().__init__()
        for name, args in convs.items():
            self.add_module(name, ConvBn(*args))
        self.branches = branches
        if pool is not None:
            self.branch_pool = ConvBn(c_in, pool, 1)
        self.average = pool is not None

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for chain, forks in self.branches:
            y = x
            for name in chain:
                y = self.get_submodule(name)(y)
            parts += [self.get_submodule(name)(y) for name in forks] or [y]
        if self.average:
            parts.append(self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1)))
        else:
            parts.append(F.max_pool2d(x, 3, stride=2))
        return torch.cat(parts, dim=1)


def mixed_5(c: int, pool: int) -> Block:
    convs = {
        "branch1x1": (c, 64, 1),
        "branch5x5_1": (c, 48, 1),
        "branch5x5_2": (48, 64, 5),
        "branch3x3dbl_1": (c, 64, 1),
        "branch3x3dbl_2": (64, 96, 3),
        "branch3x3dbl_3": (96, 96, 3),
    }
    five, double = ["branch5x5_1", "branch5x5_2"], [f"branch3x3dbl_{i}" for i in (1, 2, 3)]
    return Block(c, convs, [(["branch1x1"], []), (five, []), (double, [])], pool)


def mixed_6a() -> Block:
    convs = {
        "branch3x3": (288, 384, 3, 2, 0),
        "branch3x3dbl_1": (288, 64, 1),
        "branch3x3dbl_2": (64, 96, 3),
        "branch3x3dbl_3": (96, 96, 3, 2, 0),
    }
    return Block(288, convs, [(["branch3x3"], []), ([f"branch3x3dbl_{i}" for i in (1, 2, 3)], [])], None)


def mixed_6(c: int) -> Block:
    row, col = (1, 7), (7, 1)
    convs = {
        "branch1x1": (768, 192, 1),
        "branch7x7_1": (768, c, 1),
        "branch7x7_2": (c, c, row),
        "branch7x7_3": (c, 192, col),
        "branch7x7dbl_1": (768, c, 1),
        "branch7x7dbl_2": (c, c, col),
        "branch7x7dbl_3": (c, c, row),
        "branch7x7dbl_4": (c, c, col),
        "branch7x7dbl_5": (c, 192, row),
    }
    seven, double = [f"branch7x7_{i}" for i in (1, 2, 3)], [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)]
    return Block(768, convs, [(["branch1x1"], []), (seven, []), (double, [])], 192)


def mixed_7a() -> Block:
    convs = {
        "branch3x3_1": (768, 192, 1),
        "branch3x3_2": (192, 320, 3, 2, 0),
        "branch7x7x3_1": (768, 192, 1),
        "branch7x7x3_2": (192, 192, (1, 7)),
        "branch7x7x3_3": (192, 192, (7, 1)),
        "branch7x7x3_4": (192, 192, 3, 2, 0),
    }
    return Block(
        768, convs, [(["branch3x3_1", "branch3x3_2"], []), ([f"branch7x7x3_{i}" for i in (1, 2, 3, 4)], [])], None
    )


def mixed_7(c: int) -> Block:
    convs = {
        "branch1x1": (c, 320, 1),
        "branch3x3_1": (c, 384, 1),
        "branch3x3_2a": (384, 384, (1, 3)),
        "branch3x3_2b": (384, 384, (3, 1)),
        "branch3x3dbl_1": (c, 448, 1),
        "branch3x3dbl_2": (448, 384, 3),
        "branch3x3dbl_3a": (384, 384, (1, 3)),
        "branch3x3dbl_3b": (384, 384, (3, 1)),
    }
    branches = [
        (["branch1x1"], []),
        (["branch3x3_1"], ["branch3x3_2a", "branch3x3_2b"]),
        (["branch3x3dbl_1", "branch3x3dbl_2"], ["branch3x3dbl_3a", "branch3x3dbl_3b"]),
    ]
    return Block(c, convs, branches, 192)


class InceptionV3(nn.Module):
    MAP, POOLED = 768, 2048

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = ConvBn(3, 32, 3, 2, 0)
        self.Conv2d_2a_3x3 = ConvBn(32, 32, 3, 1, 0)
        self.Conv2d_2b_3x3 = ConvBn(32, 64, 3)
        self.Conv2d_3b_1x1 = ConvBn(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvBn(80, 192, 3, 1, 0)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = mixed_5(192, 32), mixed_5(256, 64), mixed_5(288, 64)
        self.Mixed_6a = mixed_6a()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (mixed_6(c) for c in (128, 160, 160, 192))
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = mixed_7a(), mixed_7(1280), mixed_7(2048)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = F.interpolate(images, size=299, mode="bilinear", align_corners=True)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x))))
        regions = self.Mixed_6e(x)  # (B, 768, 17, 17)
        return regions, self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(regions))).mean(dim=(2, 3))


def same_padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's SAME: as many outputs as ceil(side / stride), the odd pixel of padding at the end."""
    if stride == 1:
        return x  # the convolution's own padding does it
    h, w = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:])
    return F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2))


class Bottleneck(nn.Module):
    """Expand 1x1, depth-wise, project 1x1; plus the input where the shape stays. The PyTorch port's names."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = c_in * expansion
        self.kernel, self.stride, self.residual = kernel, stride, stride == 1 and c_in == c_out
        self.pairs = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        if expansion > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(c_in, wide, 1, bias=False), nn.BatchNorm2d(wide, eps=EPS)
            self.pairs.append(("_expand_conv", "_bn0"))
        padding = kernel // 2 if stride == 1 else 0
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, padding, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=EPS)
        self._project_conv, self._bn2 = nn.Conv2d(wide, c_out, 1, bias=False), nn.BatchNorm2d(c_out, eps=EPS)
        self.expands = expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._expand_conv(x), inplace=True) if self.expands else x
        y = F.relu6(self._depthwise_conv(same_padded(y, self.kernel, self.stride)), inplace=True)
        y = self._project_conv(y)
        return y + x if self.residual else y


class EfficientNetLite0(nn.Module):
    MAP, POOLED = 112, 1280
    # Kernel, stride, expansion, channels out, repeats.
    GROUPS = [
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 2),
        (5, 2, 6, 40, 2),
        (3, 2, 6, 80, 3),
        (5, 1, 6, 112, 3),
        (5, 2, 6, 192, 4),
        (3, 1, 6, 320, 1),
    ]

    def __init__(self, side: int):
        super().__init__()
        self.side, blocks, c = side, [], 32
        for kernel, stride, expansion, c_out, repeats in self.GROUPS:
            for r in range(repeats):
                blocks.append(Bottleneck(c, c_out, kernel, stride if r == 0 else 1, expansion))
                c = c_out
                if c_out == self.MAP:
                    self.map_at = len(blocks) - 1
        self.pairs = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")]
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, eps=EPS)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(c, 1280, 1, bias=False), nn.BatchNorm2d(1280, eps=EPS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape[2] != self.side:
            images = F.interpolate(images, size=self.side, mode="bilinear", align_corners=False)
        x = (images * 127.5 + 0.5) / 128
        x = F.relu6(self._conv_stem(same_padded(x, 3, 2)), inplace=True)
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i == self.map_at:
                regions = x
        return regions, F.relu6(self._conv_head(x), inplace=True).mean(dim=(2, 3))


def fold(network: nn.Module) -> None:
    """Folds every normalisation by running statistics into the convolution before it."""
    for module in list(network.modules()):
        if isinstance(module, ConvBn):
            module.fold()
        for conv, bn in getattr(module, "pairs", []):
            setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, bn)))
            delattr(module, bn)


class ImageEncoder(nn.Module):
    """A backbone and the projection to the space shared with text. Frozen: gradients pass to the image only."""

    def __init__(self, backbone: str, side: int, dims: int):
        super().__init__()
        self.backbone = InceptionV3() if backbone == "inception-v3" else EfficientNetLite0(side)
        self.projection = nn.Module()
        self.projection.emb_features = nn.Conv2d(self.backbone.MAP, dims, 1, bias=False)
        self.projection.emb_cnn_code = nn.Linear(self.backbone.POOLED, dims)

    def freeze(self) -> None:
        self.eval().requires_grad_(False)
        fold(self.backbone)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        regions, pooled = self.backbone(images)
        return self.projection.emb_features(regions), self.projection.emb_cnn_code(pooled)
