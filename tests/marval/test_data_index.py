"""Which images are trained on, held out or left out, and in which half they are: properties of the choice, over many seeds."""

import numpy as np
import pytest

from marval.data.collection import Listing
from marval.data.index import make_index, read_used, write_index
from marval.data.verification import Checked
from marval.errors import UserError

CLASSES = 4
NAMES = [f"entity {k}" for k in range(CLASSES)]


def random_case(seed, count=60):
    """Files of few different contents under any labels, in any order; some damaged."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(CLASSES).repeat(6), random.integers(0, CLASSES, count)])
    contents = [f"own {n}" for n in range(6 * CLASSES)] + [
        f"shared {n}" for n in random.integers(0, 25, count)
    ]
    damaged = np.concatenate([np.zeros(6 * CLASSES, bool), random.random(count) < 0.1])
    order = random.permutation(len(labels))
    checked = [Checked(contents[n], "not an image" if damaged[n] else None) for n in order]
    return Listing([f"file {n}" for n in order], labels[order].astype(np.int64)), checked


@pytest.mark.parametrize("seed", range(30))
def test_every_choice_keeps_the_promises(seed):
    files, checked = random_case(seed)
    index = make_index(files, checked, NAMES, 3, seed)
    content, labels = np.array([c.sha256 for c in checked]), files.labels
    problems = np.array([problem or "" for problem in index.problems])
    assert [problem == "not an image" for problem in problems] == [c.problem is not None for c in checked]
    used, held_out = index.used, index.held_out
    for row in np.flatnonzero(np.char.startswith(problems, "copy of ")):
        original = list(files.places).index(problems[row].removeprefix("copy of "))
        assert original < row
        assert (content[original], labels[original]) == (content[row], labels[row])
    pairs = list(zip(content[used], labels[used], strict=True))
    assert len(set(pairs)) == len(pairs)
    assert len(used) + len(held_out) + np.char.startswith(problems, ("copy of")).sum() + (
        problems == "not an image"
    ).sum() == len(labels)
    assert np.bincount(labels[held_out]).tolist() == [3] * CLASSES
    assert not set(content[held_out]) & set(content[used])
    halves = {c: set(index.half[used][content[used] == c]) for c in content[used]}
    assert all(len(half) == 1 for half in halves.values())
    assert set(index.half[used]) == {0, 1}
    assert (np.delete(index.half, used) == -1).all()


def test_halves_are_even_in_every_class():
    labels = np.arange(CLASSES).repeat([4, 5, 10, 11])
    checked = [Checked(f"{n}", None) for n in range(30)]
    index = make_index(Listing([f"{n}" for n in range(30)], labels), checked, NAMES, 0, seed=3)
    assert [int((index.half[labels == k] == 0).sum()) for k in range(CLASSES)] == [2, 3, 5, 6]


def test_choices_follow_the_seed():
    files, checked = random_case(0)
    both = [[make_index(files, checked, NAMES, hold_out, seed) for seed in (0, 0, 1)] for hold_out in (0, 3)]
    for same, again, other in both:
        assert same.problems == again.problems
        assert np.array_equal(same.half, again.half)
        assert not np.array_equal(same.half, other.half)
    assert both[1][0].problems != both[1][2].problems


def test_a_class_without_images_is_told():
    files, checked = random_case(0)
    with pytest.raises(UserError, match=r"class 4 \(unicorn\) has no image left"):
        make_index(files, checked, [*NAMES, "unicorn"], 0, 0)


def test_the_file_has_what_was_decided(tmp_path):
    files, checked = random_case(1)
    index = make_index(files, checked, NAMES, 2, 0)
    for path in (tmp_path / "one.parquet", tmp_path / "two.parquet"):
        write_index(path, index)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    table = read_used(tmp_path / "one.parquet")
    assert table["image"].to_pylist() == [files.places[row] for row in index.used]
    assert table["label"].to_pylist() == files.labels[index.used].tolist()
    assert table["half"].to_pylist() == index.half[index.used].tolist()
    assert table["sha256"].to_pylist() == [checked[row].sha256 for row in index.used]


def test_a_damaged_index_is_told(tmp_path):
    (tmp_path / "train.parquet").write_text("PAR1")
    with pytest.raises(UserError, match=r"train\.parquet is damaged"):
        read_used(tmp_path / "train.parquet")
