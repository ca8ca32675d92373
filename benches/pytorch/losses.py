"""Objectives, as functions of tensors."""
import torch
from torch import Tensor
from torch.nn import functional as F


def real(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def fake(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def kl(mu: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * torch.mean(1 + logvar - mu.square() - logvar.exp())


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.sqrt((a - b).square().sum() + 1e-12)


def semantic_disentangling(key: Tensor, non_key: Tensor, real: Tensor) -> Tensor:
    """The key part's statistics nearer to the real images' than the rest's."""

    def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
        var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        return mean, torch.sqrt(var + 1e-8)

    total = 0
    for k, n, r in zip(statistics(key), statistics(non_key), statistics(real.detach()), strict=True):
        total = total + F.softplus(_distance(k, r) - _distance(n, r))
    return total


NORM_EPS = 1e-8


def _norm(x: Tensor, dim: int) -> Tensor:
    return torch.sqrt(x.square().sum(dim=dim) + NORM_EPS)


def _matching(scores: Tensor) -> Tensor:
    """Cross-entropy of the diagonal, by rows and by columns."""
    own = torch.arange(scores.shape[0])
    return F.cross_entropy(scores, own) + F.cross_entropy(scores.t(), own)


def damsm(regions: Tensor, code: Tensor, words: Tensor, sentence: Tensor, padding: Tensor, gammas: dict) -> Tensor:
    """Words' and sentences' matching losses, both directions; every pair of the batch but its own is a negative."""
    regions, words = regions.flatten(2), words.transpose(1, 2)  # (I, D, R), (C, T, D)
    scores = torch.einsum("ctd,idr->ctir", words, regions)
    over_words = scores.masked_fill(padding[:, :, None, None], -torch.inf).softmax(dim=1)
    attention = (gammas["attention"] * over_words).softmax(dim=3)
    context = torch.einsum("ctir,idr->ctid", attention, regions)
    dot = torch.einsum("ctd,ctid->cti", words, context)
    cosine = dot / _norm(context, 3) / _norm(words, 2).unsqueeze(2)
    pooled = (gammas["words"] * cosine).masked_fill(padding.unsqueeze(2), -torch.inf).logsumexp(dim=1)
    sentences = (code / _norm(code, 1)[:, None]) @ (sentence / _norm(sentence, 1)[:, None]).t()
    return _matching(gammas["batch"] * pooled.t()) + _matching(gammas["batch"] * sentences)
