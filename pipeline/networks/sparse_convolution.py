"""Convolutions of a batch of maps that differ from a blank one in one small part.

Stimuli that are presented together are small figures near one another on a background, and behind
the first layers most of a map is still that of the background alone. A convolution is linear, so
only what the figures change has to be convolved.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LOOKS = 16  # blank maps that are remembered
WORTHWHILE = 2_000_000  # multiplications for a map, from which it pays to look for changes


def convolve_changes(
    maps: Float[Tensor, "batch c height width"],
    blank: Float[Tensor, "1 c height width"] | None,
    weight: Float[Tensor, "f group_c y x"],
    stride: int = 1,
    groups: int = 1,
) -> Float[Tensor, "batch f rows columns"]:
    """Return the convolution of ``maps - blank``, computed where it is not zero in any map.

    Args:
        maps: of which few pixels differ from the blank map.
        blank: zeros if not given.
        weight: of a convolution without bias and padding.
        stride: of the convolution, on both axes.
        groups: of the convolution.
    """
    sizes = [(n - k) // stride + 1 for n, k in zip(maps.shape[2:], weight.shape[2:], strict=True)]
    if weight.numel() * sizes[0] * sizes[1] < WORTHWHILE:
        return F.conv2d(maps if blank is None else maps - blank, weight, None, stride, 0, 1, groups)
    changed = maps.ne(0 if blank is None else blank).flatten(0, 1).any(0)
    spans = [_span(changed.any(1 - axis), stride) for axis in (0, 1)]
    # Zeros that are laid out anew would be written twice.
    found = torch.empty(
        (len(maps), len(weight), *sizes),
        device=maps.device,
        dtype=maps.dtype,
        memory_format=torch.channels_last,
    ).zero_()
    if spans[0].start == spans[0].stop:
        return found
    part = maps[:, :, spans[0], spans[1]]
    if blank is not None:
        part = part - blank[:, :, spans[0], spans[1]]
    # With a border, all outputs that the part reaches come out of it.
    borders = [-(-(k - 1) // stride) for k in weight.shape[2:]]
    reached = F.conv2d(part, weight, None, stride, [b * stride for b in borders], 1, groups)
    whole: list[slice] = []
    inner: list[slice] = []
    for span, border, size, length in zip(spans, borders, sizes, reached.shape[2:], strict=True):
        start = span.start // stride - border
        whole.append(slice(max(start, 0), min(start + length, size)))
        inner.append(slice(whole[-1].start - start, whole[-1].stop - start))
    found[:, :, whole[0], whole[1]] = reached[:, :, inner[0], inner[1]]
    return found


class ChangedConvolution(nn.Module):
    """A convolution of a batch of maps that differ little from the first of them.

    Args:
        conv: one for which ``is_plain`` holds.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        self.weight, self.bias, self.stride = nn.Buffer(weight), conv.bias, conv.stride[0]
        self.known: list[tuple[Tensor, Tensor]] = []  # blank maps, and what becomes of them

    def forward(
        self, maps: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch f rows columns"]:
        """Return the convolution's output."""
        found = convolve_changes(maps, maps[:1], self.weight, self.stride)
        return found.add_(self._blank(maps[:1]))

    def _blank(self, blank: Tensor) -> Tensor:
        for known, output in self.known:
            if torch.equal(known, blank):
                return output
        output = F.conv2d(blank, self.weight, self.bias, self.stride)
        self.known = [*self.known[-LOOKS:], (blank.clone(), output)]
        return output


def is_plain(conv: nn.Conv2d) -> bool:
    """Say whether a convolution has no padding, dilation or groups, and one stride."""
    plain = conv.padding == (0, 0) and conv.dilation == (1, 1) and conv.groups == 1
    return plain and conv.stride[0] == conv.stride[1]


def _span(changed: Tensor, stride: int) -> slice:
    """Return from where to where something has changed, beginning at a multiple of the stride."""
    places = changed.nonzero()[:, 0].tolist()
    return slice(places[0] // stride * stride, places[-1] + 1) if places else slice(0, 0)
