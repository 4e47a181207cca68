"""The modules that readouts append to a network: from a layer's output to its units."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ChannelsFirst(nn.Module):
    """A map with its channels last, with its channels first."""

    def forward(
        self, maps: Float[Tensor, "batch rows columns channels"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Return the map."""
        return maps.permute(0, 3, 1, 2)


class BatchFirst(nn.Module):
    """Tokens whose first dimension is the batch, from those whose second is."""

    def forward(
        self, tokens: Float[Tensor, "tokens batch width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the tokens."""
        return tokens.transpose(0, 1)


class PatchTokens(nn.Module):
    """The tokens of patches, each at the position of its patch.

    Args:
        first: number of the first of them.
        rows: rows of patches.
        columns: columns of patches.
    """

    def __init__(self, first: int, rows: int, columns: int) -> None:
        super().__init__()
        self.first, self.rows, self.columns = first, rows, columns

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch width rows columns"]:
        """Return the map of patches."""
        patches = tokens[:, self.first : self.first + self.rows * self.columns]
        return patches.transpose(1, 2).unflatten(2, (self.rows, self.columns))


class FirstToken(nn.Module):
    """The first token."""

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch width"]:
        """Return it."""
        return tokens[:, 0]


class HeadOutputs(nn.Module):
    """What each head of an attention computes, before the projection that joins the heads.

    Args:
        attention: PyTorch's module, whose weights are used and not copied.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(
        self,
        query: Float[Tensor, "batch tokens width"],
        key: Float[Tensor, "batch keys key_width"],
        value: Float[Tensor, "batch keys value_width"],
    ) -> Float[Tensor, "batch heads tokens head_width"]:
        """Return the outputs of the heads."""
        own: Any = self.attention
        packed = own.in_proj_weight
        weights = (
            (own.q_proj_weight, own.k_proj_weight, own.v_proj_weight)
            if packed is None
            else packed.chunk(3)
        )
        biases = (None,) * 3 if own.in_proj_bias is None else own.in_proj_bias.chunk(3)
        heads = list[Tensor]()
        for given, weight, bias in zip((query, key, value), weights, biases, strict=True):
            batched = given if own.batch_first else given.transpose(0, 1)
            projected = F.linear(batched, weight, bias)
            heads.append(projected.unflatten(2, (own.num_heads, -1)).transpose(1, 2))
        queries, keys, values = heads
        return F.scaled_dot_product_attention(queries, keys, values)


class HeadNorms(nn.Module):
    """The Euclidean norm of each head's output, at each token."""

    def forward(
        self, heads: Float[Tensor, "batch heads tokens head_width"]
    ) -> Float[Tensor, "batch tokens heads"]:
        """Return the norms."""
        return torch.linalg.vector_norm(heads, dim=3).transpose(1, 2)


class JoinedHeads(nn.Module):
    """The outputs of all heads, one after another, at each token."""

    def forward(
        self, heads: Float[Tensor, "batch heads tokens head_width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Return them as the projection behind them takes them."""
        return heads.transpose(1, 2).flatten(2)


class MeanPool(nn.Module):
    """The mean of every channel over all positions."""

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch channels"]:
        """Return the means."""
        return maps.mean((2, 3))


class MaxPool(nn.Module):
    """The maximum of every channel over all positions."""

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch channels"]:
        """Return the maxima."""
        return maps.amax((2, 3))


class Centered(nn.Module):
    """Channels less what is subtracted from each.

    Args:
        mean: one number for each channel.
    """

    def __init__(self, mean: Float[Tensor, " channels"]) -> None:
        super().__init__()
        self.mean = nn.Buffer(mean)

    def forward(
        self, responses: Float[Tensor, "batch channels *map"]
    ) -> Float[Tensor, "batch channels *map"]:
        """Return the difference."""
        return responses - self.mean.view(-1, *(1,) * (responses.ndim - 2))


class TopK(nn.Module):
    """The k largest units at each position, as far as they are above 0; the others are 0.

    Args:
        k: number of units.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(
        self, responses: Float[Tensor, "batch units *map"]
    ) -> Float[Tensor, "batch units *map"]:
        """Return the responses that are kept."""
        kept, units = responses.relu().topk(self.k, dim=1)
        return torch.zeros_like(responses).scatter(1, units, kept)


class JumpReLU(nn.Module):
    """Units that are above their own threshold, and above 0; the others are 0.

    Args:
        thresholds: one for each unit.
    """

    def __init__(self, thresholds: Float[Tensor, " units"]) -> None:
        super().__init__()
        self.thresholds = nn.Buffer(thresholds)

    def forward(
        self, responses: Float[Tensor, "batch units *map"]
    ) -> Float[Tensor, "batch units *map"]:
        """Return the responses that are kept."""
        above = responses > self.thresholds.view(-1, *(1,) * (responses.ndim - 2))
        return responses.relu() * above


# They act on every position separately.
AT_POSITIONS = (Centered, TopK, JumpReLU)
