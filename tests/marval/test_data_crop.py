"""ADM's centre crop against cases that can be worked out by hand, and against a construction from Pillow's filter formulas."""

import numpy as np
import pytest
from PIL import Image

from marval.data.decoding import centre_crop


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def crop(pixels, size):
    return centre_crop(Image.fromarray(pixels), size)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (22, 16), (16, 21), (17, 16), (31, 16)])
def test_at_the_right_size_only_the_margin_goes(width, height):
    pixels = noise(width, height)
    left, top = (width - 16) // 2, (height - 16) // 2
    assert np.array_equal(crop(pixels, 16), pixels[top : top + 16, left : left + 16])


@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_power_of_two_is_the_mean_of_blocks(halvings):
    factor = 2**halvings
    blocks = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(crop(blocks.repeat(factor, 0).repeat(factor, 1), 8), blocks)
    pixels = noise(8 * factor, 8 * factor)
    means = pixels.reshape(8, factor, 8, factor, 3).mean(axis=(1, 3))
    assert np.abs(crop(pixels, 8) - means).max() <= halvings  # rounded twice at every halving


def test_halves_only_what_is_at_least_twice_too_large():
    """A black and white chequerboard: the box filter makes it grey at 2n, the wider bicubic filter does not quite at 2n - 1."""
    board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, -1)
    assert (np.ptp(crop(board, 16)), int(crop(board, 16)[0, 0, 0])) == (0, 128)
    assert np.ptp(crop(board[:31], 16)) > 0


def filtered(length, size, kernel, reach):
    """Pillow's resampling along one axis as a matrix (size, length): a kernel stretched by the scale, cut at the border."""
    scale = length / size
    stretch = max(scale, 1.0)
    pixel, centres = np.arange(length), (np.arange(size)[:, None] + 0.5) * scale
    # in this order of operations, which decides where a pixel's centre falls on the edge of the kernel
    first, last = np.floor(centres - reach * stretch + 0.5), np.floor(centres + reach * stretch + 0.5)
    weights = kernel((pixel - centres + 0.5) * (1 / stretch)) * ((pixel >= first) & (pixel < last))
    return weights / weights.sum(axis=1, keepdims=True)


def box(x):
    return ((x > -0.5) & (x <= 0.5)).astype(float)


def bicubic(x, a=-0.5):
    x = np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def resize(pixels, width, height, *kernel):
    across = np.einsum("wx,yxc->ywc", filtered(pixels.shape[1], width, *kernel), pixels)
    down = np.einsum("hy,ywc->hwc", filtered(pixels.shape[0], height, *kernel), np.floor(across + 0.5))
    return np.floor(down + 0.5)


def independent_crop(pixels, size):
    pixels = pixels.astype(float)
    while min(pixels.shape[:2]) >= 2 * size:
        pixels = resize(pixels, pixels.shape[1] // 2, pixels.shape[0] // 2, box, 0.5)
    scale = size / min(pixels.shape[:2])
    height, width = (round(side * scale) for side in pixels.shape[:2])
    pixels = resize(pixels, width, height, bicubic, 2.0)
    top, left = (height - size) // 2, (width - size) // 2
    return pixels[top : top + size, left : left + size]


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_filters_written_out(seed):
    random = np.random.default_rng([7, seed])
    width, height, size = (int(n) for n in (*random.integers(9, 140, 2), random.integers(8, 40)))
    pixels = 64 + noise(width, height, seed) // 2  # so that no filter goes beyond 0 ... 255
    ours, theirs = crop(pixels, size), independent_crop(pixels, size)
    assert ours.shape == (size, size, 3)
    # Pillow chooses itself whether rows or columns come first; each pass is rounded
    assert np.abs(ours - theirs).max() <= 2
    assert np.abs(ours - theirs).mean() <= 0.3


@pytest.mark.parametrize(("width", "height", "size"), [(64, 48, 24), (192, 96, 16), (40, 40, 64)])
def test_mirror_image_has_the_mirrored_crop(width, height, size):
    pixels = noise(width, height)
    assert np.abs(crop(pixels[:, ::-1], size)[:, ::-1].astype(int) - crop(pixels, size)).max() <= 1
