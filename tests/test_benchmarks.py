"""The benchmarks compare what gives equal results; nothing is timed here."""

import pytest
import torch

from benchmarks.pairs import pairs, random_model


@pytest.mark.slow
def test_both_sides_give_the_same():
    with torch.inference_mode():
        compared = pairs(random_model(), batches=(1, 3))
        for pair in compared:
            expected, ours = pair.reference(), pair.optimised()
            assert ours.shape == expected.shape, pair.name
            assert (ours - expected).norm() < 1e-4 * expected.norm(), pair.name
    assert len(compared) == 10
