"""Encoding a training set into shards of latents, in any number of processes and with any number of interruptions.

The images are dealt into shards by their content, each content once; a shard is computed by itself, in batches that start where
it starts. Its bytes therefore do not depend on who computes it, or when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from marval.artifacts import is_sealed, seal
from marval.data.images import ImageSet
from marval.data.latents import LatentRows, write_shard
from marval.data.normaliser import ChannelStatistics
from marval.data.settings import EncodeConfig
from marval.models.tokenizer import Tokenizer, from_bytes
from marval.progress import Progress

AHEAD = 2  # batches that are read before they are needed


def shard_names(images: ImageSet, config: EncodeConfig) -> list[str]:
    """File names of all shards, in order."""
    count = len(_deal(images.content, config.shard))
    return [f"data-{number:05d}-of-{count:05d}.arrow" for number in range(count)]


def encode_shards(
    images: ImageSet,
    tokenizer: Tokenizer,
    config: EncodeConfig,
    folder: Path,
    process: int = 0,
    processes: int = 1,
    label: str = "encode",
) -> None:
    """Write every `processes`-th shard that `folder` does not have yet; its notes hold the channel statistics.

    `tokenizer` must not normalise (mean 0, deviation 1), and works on the device where it is. Progress is that of the first
    process, on its share.
    """
    shards = _deal(images.content, config.shard)
    names = shard_names(images, config)
    mine = range(process, len(shards), processes)
    missing = [number for number in mine if not is_sealed(folder / names[number])]
    total, left = (sum(len(shards[n]) for n in numbers) for numbers in (mine, missing))
    with Progress(label, total=total, unit="image", start=total - left, shown=process == 0) as progress:
        for number in missing:
            rows = _encode(images, shards[number], tokenizer, config)
            statistics = ChannelStatistics.of(torch.from_numpy(rows.moments))
            write_shard(folder / names[number], rows, statistics.notes())
            seal(folder / names[number])
            progress.advance(len(shards[number]))


def _deal(content: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows of the training set for each shard, by content, contents in order of their first row; `size` contents a shard."""
    order = np.argsort(content, kind="stable")
    cuts = np.searchsorted(content[order], np.arange(size, content.max() + 1, size))
    return np.split(order, cuts)


@torch.no_grad()
def _encode(images: ImageSet, rows: np.ndarray, tokenizer: Tokenizer, config: EncodeConfig) -> LatentRows:
    """The rows of one shard; an image is followed by its mirror image, where mirror images are kept."""
    _, first, which = np.unique(images.content[rows], return_index=True, return_inverse=True)
    views = [_moments(pixels, tokenizer, config) for pixels in _ahead(images, rows[first], config.batch)]
    distinct = torch.cat(views).numpy()  # (contents, 1 or 2, 2C, h, w)
    sides = distinct.shape[1]
    return LatentRows(
        moments=distinct[which].reshape(-1, *distinct.shape[2:]),
        labels=np.repeat(images.labels[rows], sides),
        images=np.repeat(rows, sides),
        mirrored=np.tile(np.arange(sides) == 1, len(rows)),
    )


def _moments(pixels: np.ndarray, tokenizer: Tokenizer, config: EncodeConfig) -> Tensor:
    batch = from_bytes(torch.from_numpy(pixels).to(tokenizer.mean.device))
    sides = [batch, batch.flip(-1)] if config.mirror else [batch]
    return torch.stack([tokenizer.encode_moments(side) for side in sides], dim=1).cpu()


def _ahead(images: ImageSet, rows: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    """Batches of images; the next ones are read and decoded while the autoencoder is at work."""
    waiting: deque[Future[np.ndarray]] = deque()
    with ThreadPoolExecutor(1) as reader:
        for part in np.split(rows, range(batch, len(rows), batch)):
            waiting.append(reader.submit(images.images, part))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
