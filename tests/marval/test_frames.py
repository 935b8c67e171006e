"""Samples over training: taken at set moments, complete after an interruption."""

import numpy as np
from PIL import Image

from marval.stages.frames import Frames


def test_moments_cover_start_and_end_and_survive_a_restart(tmp_path):
    shown = iter(range(100))

    def draw():
        return np.full((3, 4, 4, 3), next(shown), dtype=np.uint8)

    first = Frames(tmp_path / "runs", steps=100, log_every=10, draw=draw)
    assert first.moments == {0, 20, 50, 80, 100}  # quarters, at the nearest logged step
    for step in range(0, 60, 10):
        assert first.observe(step) == {}
    second = Frames(tmp_path / "runs", steps=100, log_every=10, draw=draw)
    for step in range(60, 101, 10):
        second.observe(step)
    second.write(tmp_path / "strip.png")
    pixels = np.asarray(Image.open(tmp_path / "strip.png"))
    assert pixels.shape == (5 * 4, 3 * 4, 3)
    assert pixels[::4, 0, 0].tolist() == [0, 1, 2, 3, 4]
