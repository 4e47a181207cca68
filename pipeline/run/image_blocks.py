"""The image set in blocks: work items of stages that run the network on every image."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import ImageError
from pipeline.images.batches import Batch, load_batch, split
from pipeline.run.active_run import ActiveRun
from pipeline.store.results import Result

BLOCK_IMAGES = 64  # images of a block, at least
BLOCKS = 128  # of one image set, at most: what waits to be merged stays small


def block_images(total: int, batch_size: int) -> int:
    """Return how many images a block holds: a whole number of batches, for any number of processes.

    Args:
        total: images of the set.
        batch_size: images that the network runs at once.
    """
    wanted = max(BLOCK_IMAGES, -(-total // BLOCKS))
    return -(-wanted // batch_size) * batch_size


def image_blocks(run: ActiveRun) -> dict[str, range]:
    """Return the blocks of images that are the work items of a stage, by name."""
    total = len(run.images)
    size = block_images(total, run.parts.config.search.batch_size)
    return {f"block-{n:04d}": indices for n, indices in enumerate(split(total, size))}


class ImageBlocks:
    """The common part of all work on blocks of images (``runner.Work``).

    Args:
        run: the run.
        results: results whose items are blocks.
    """

    def __init__(self, run: ActiveRun, results: Sequence[Result]) -> None:
        self.active, self._results = run, results
        self.blocks = image_blocks(run)
        run.parts.runner.place(run.parts.network.module)

    def needed(self, block: str) -> bool:
        """Return whether a result lacks a block."""
        return any(not result.holds(block) for result in self._results)

    def size(self, block: str) -> int:
        """Return the number of images in a block."""
        return len(self.blocks[block])

    def parts(self, block: str) -> list[range]:
        """Return the batches of a block."""
        indices = self.blocks[block]
        batch_size = self.active.parts.config.search.batch_size
        return [indices[part.start : part.stop] for part in split(len(indices), batch_size)]

    def load(self, indices: range) -> Batch:
        """Read a batch of images."""
        return load_batch(self.active.images, indices)


def check_unreadable(run: ActiveRun, unreadable: dict[str, str]) -> None:
    """Raise an error if too many images cannot be read.

    Raises:
        ImageError: no image can be read, or more than one image and a larger share than
            ``search.max_unreadable`` cannot.
    """
    total, count = len(run.images), len(unreadable)
    if count > max(1.0, run.parts.config.search.max_unreadable * total) or count == total:
        name, reason = next(iter(unreadable.items()))
        raise ImageError(
            f"images: {count} of {total} images cannot be used, the first is '{name}', which "
            f"{reason}; repair or remove them, or raise search.max_unreadable"
        )
