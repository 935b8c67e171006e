"""The file of training images with the pixels inside: what is read is what was written."""

import numpy as np
import pytest

from marval.data.images import count_training, open_pixels, write_pixels
from marval.errors import UserError


@pytest.fixture
def stored(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
    images[7] = images[3]
    labels, half = random.integers(0, 3, 40), random.integers(0, 2, 40).astype(np.int8)
    write_pixels(tmp_path / "train.parquet", images, labels, half)
    return tmp_path / "train.parquet", images, labels, half


def test_reads_what_was_written(stored):
    path, images, labels, half = stored
    read = open_pixels(path)
    order = np.random.default_rng(1).permutation(40)
    assert np.array_equal(read.images(order), images[order])
    assert np.array_equal(read.labels, labels)
    assert np.array_equal(read.half, half)
    assert (read.labels.dtype, read.half.dtype) == (np.int64, np.int8)
    assert read.content.tolist() == [*range(7), 3, *range(7, 39)]
    assert count_training(path) == len(read) == 40


def test_equal_images_give_equal_bytes(stored, tmp_path):
    path, *arrays = stored
    write_pixels(tmp_path / "again.parquet", *arrays)
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_a_view_of_other_images_is_written_as_it_looks(stored, tmp_path):
    _, images, labels, half = stored
    write_pixels(tmp_path / "flipped.parquet", images[:, :, ::-1], labels, half)
    assert np.array_equal(open_pixels(tmp_path / "flipped.parquet").images(np.arange(40)), images[:, :, ::-1])


@pytest.mark.parametrize("read", [open_pixels, count_training])
def test_a_damaged_file_is_named(stored, read):
    path = stored[0]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"train\.parquet is damaged"):
        read(path)
