"""Tiling: scores of images too large for memory, computed one part of the map at a time.

The gradient of a sum over a map is the sum of the gradients of its parts: tiling only changes
rounding, even where tiles meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipeline.networks.tiles import Tile
from pipeline.synthesis.objectives import Objective, Seen
from pipeline.synthesis.scoring import Term, TermScorer, Watch


class TiledScorer(TermScorer):
    """Objectives that add up over the map, on whole images in tiles.

    Args:
        tiles: tiles of every layer used.
        terms: the objectives.
        input_size: height and width of the images.
        copies: images of one unit that lie side by side.
    """

    def __init__(
        self,
        tiles: Sequence[Sequence[Tile]],
        terms: Sequence[Term],
        input_size: tuple[int, int],
        copies: int,
    ) -> None:
        super().__init__(terms, input_size, copies)
        self.tiles = tiles
        self.networks = nn.ModuleList(
            {id(tile.network): tile.network for layer in tiles for tile in layer}.values()
        )

    def takes_any_size(self) -> bool:
        """Return False: the tiles are for one size."""
        return False

    def references(self, starts: Tensor) -> list[list[Tensor | None]]:  # noqa: ARG002
        """Return no references: objectives with references are not tiled."""
        return [[None] * len(term.layers) for term in self.terms]

    def scores(
        self,
        images: Float[Tensor, "batch c height width"],
        units: Int[Tensor, " batch"],
        references: Sequence[Sequence[Tensor | None]],  # noqa: ARG002
        watch: Watch | None = None,
    ) -> list[Float[Tensor, " batch"]]:
        """Return the scores of every term, without weights."""
        means: dict[int, Tensor] = {}
        scores: list[Tensor] = []
        for term in self.terms:
            score = images.new_zeros(len(images))
            for layer in term.layers:
                pass_over = _Pass(self.tiles[layer], term.objective, units, self.copies)
                score = score + cast("Tensor", _TiledSum.apply(images, pass_over))
                means[layer] = pass_over.mean
            scores.append(score)
        if watch is not None:
            watch([means[layer] for layer in range(len(self.tiles))])
        return scores


class _Pass:
    """One pass over the tiles of a layer, for one objective."""

    def __init__(
        self, tiles: Sequence[Tile], objective: Objective, units: Tensor, copies: int
    ) -> None:
        self.tiles, self.objective, self.units, self.copies = tiles, objective, units, copies
        self.mean = torch.empty(0)

    def __call__(self, images: Tensor, *, differentiate: bool) -> tuple[Tensor, Tensor]:
        """Return scores and, if requested, their gradients; otherwise zeros."""
        total = sum(_area(tile) for tile in self.tiles)
        score, gradient = images.new_zeros(len(images)), torch.zeros_like(images)
        means: list[Tensor] = []
        for tile in self.tiles:
            box, share = tile.box, _area(tile) / total
            rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
            part = images[:, :, rows, columns].detach().clone().requires_grad_(differentiate)
            with torch.set_grad_enabled(differentiate):
                z = tile.network(part)
                z = z if z.ndim == 4 else z[:, :, None, None]
                found = self.objective.score(Seen(z, self.units, self.copies, part))
                found = found * share if self.objective.additive == "mean" else found
                if differentiate:
                    gradient[:, :, rows, columns] += torch.autograd.grad(found.sum(), part)[0]
            means.append(share * z.detach().mean((2, 3)))
            score += found.detach()
        self.mean = torch.stack(means).sum(0)
        return score, gradient


class _TiledSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        images, pass_over = cast("tuple[Tensor, Callable[..., Any]]", arguments)
        score, gradient = pass_over(images, differentiate=ctx.needs_input_grad[0])
        ctx.save_for_backward(gradient)
        return score

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradients[0][:, None, None, None] * gradient, None


def _area(tile: Tile) -> int:
    rows, columns = tile.region
    return int((rows.stop - rows.start) * (columns.stop - columns.start))
