"""Shards of latents: what is read is what was written, whoever encoded it, and however often that was interrupted."""

import json
import os

import numpy as np
import pytest
import torch

from marval.data.encoding import encode_shards, shard_names
from marval.data.images import ImageSet
from marval.data.latents import LatentBatches, LatentRows, read_notes, write_index, write_shard
from marval.data.normaliser import ChannelStatistics, fixed, measured
from marval.data.settings import EncodeConfig
from marval.errors import UserError
from marval.models.tokenizer import Tokenizer, TokenizerConfig, build_autoencoder, from_bytes
from marval.stages.encode import assemble

CHANNELS = 2


def write_folder(folder, moments, labels, sizes, mean=(0.0, 0.0), std=(1.0, 1.0)):
    """Shards of the given sizes, and the normaliser beside them."""
    folder.mkdir(parents=True)
    names, first = [], 0
    for number, size in enumerate(sizes):
        rows = np.arange(first, first + size)
        write_shard(
            folder / f"{number}.arrow",
            LatentRows(moments[rows], labels[rows], rows, rows % 2 == 1),
            {"n": str(number)},
        )
        names.append(f"{number}.arrow")
        first += size
    write_index(folder, names)
    (folder.parent / "normaliser.json").write_text(json.dumps({"mean": mean, "std": std}))
    return folder


@pytest.fixture
def stored():
    random = np.random.default_rng(0)
    moments = random.normal(size=(12, 2 * CHANNELS, 3, 5)).astype(np.float32)
    return moments, random.integers(0, 4, 12)


def test_reads_what_was_written(stored, tmp_path):
    moments, labels = stored
    data = LatentBatches.load(write_folder(tmp_path / "train", moments, labels, [1, 5, 4, 2]))
    assert len(data) == 12
    assert np.array_equal(data.labels, labels)
    for seed in range(20):
        index = torch.randint(12, (seed,), generator=torch.Generator().manual_seed(seed))
        assert np.array_equal(data.moments(index), moments[index.numpy()])
    assert not any(
        shard.flags.owndata or shard.flags.writeable for shard in data.shards
    )  # views of the files


def test_normalises_as_it_reads(stored, tmp_path):
    moments, labels = stored
    folder = write_folder(tmp_path / "train", moments, labels, [6, 6], mean=(1.0, -2.0), std=(0.5, 4.0))
    read = LatentBatches.load(folder).moments(torch.tensor([7])).numpy()[0]
    assert np.allclose(read[0], (moments[7, 0] - 1) / 0.5)
    assert np.allclose(read[1], (moments[7, 1] + 2) / 4)
    assert np.allclose(read[2:], moments[7, 2:] / np.array([0.5, 4.0])[:, None, None])


def test_opens_with_datasets(stored, tmp_path):
    from datasets import load_from_disk

    moments, labels = stored
    rows = load_from_disk(str(write_folder(tmp_path / "train", moments, labels, [7, 5]))).with_format("numpy")
    assert np.array_equal(rows["moments"][:], moments)
    assert np.array_equal(rows["label"][:], labels)
    assert np.array_equal(rows["mirrored"][:], np.arange(12) % 2 == 1)


def test_any_number_of_files_takes_no_file_handles(stored, tmp_path):
    folder = write_folder(tmp_path / "train", *stored, [1] * 12)
    before = len(os.listdir("/proc/self/fd"))
    data = LatentBatches.load(folder)
    assert len(os.listdir("/proc/self/fd")) == before
    assert np.array_equal(data.moments(torch.arange(12)), stored[0])


def test_other_files_in_the_folder_are_ignored(stored, tmp_path):
    folder = write_folder(tmp_path / "train", *stored, [12])
    (folder / ".snakemake_timestamp").touch()
    (folder / "9.arrow").write_text("left behind")
    assert len(LatentBatches.load(folder)) == 12


def test_every_truncation_is_told(stored, tmp_path):
    path = write_folder(tmp_path / "train", *stored, [12]) / "0.arrow"
    whole = path.read_bytes()
    for length in [*range(0, len(whole) - 8, 97), len(whole) - 2000]:
        path.write_bytes(whole[:length])
        with pytest.raises(
            UserError, match=r"train is damaged \(0\.arrow: .*\): delete the folder"
        ) as caught:
            LatentBatches.load(path.parent)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(UserError, match=r"train is damaged \(0\.arrow"):
        LatentBatches.load(path.parent)


def test_unfinished_folder_is_told(tmp_path):
    (tmp_path / "normaliser.json").write_text("{}")
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match=r"state\.json is missing"):
        LatentBatches.load(tmp_path / "train")


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 8]])
def test_statistics_of_parts_are_those_of_the_whole(stored, cuts):
    moments = stored[0] * 3 + 1
    parts = [ChannelStatistics.of(torch.from_numpy(part)) for part in np.split(moments, cuts)]
    normaliser = measured([ChannelStatistics.from_notes(part.notes()) for part in parts])
    mean, std = moments[:, :CHANNELS].astype(float), moments[:, CHANNELS:].astype(float)
    centre = mean.mean(axis=(0, 2, 3))
    variance = mean.var(axis=(0, 2, 3)) + (std**2).mean(axis=(0, 2, 3))
    assert np.allclose(normaliser["mean"], centre, rtol=1e-6)
    assert np.allclose(normaliser["std"], np.sqrt(variance), rtol=1e-6)


def test_fixed_scale_multiplies_the_latents():
    assert fixed(0.2325, 3) == {"mean": [0.0] * 3, "std": [pytest.approx(1 / 0.2325)] * 3}


# encoding

SETTINGS = EncodeConfig(mirror=True, batch=3, shard=4)


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    config = TokenizerConfig(latent_channels=CHANNELS, channels=[4, 8], layers_per_block=1, norm_groups=4)
    return Tokenizer(config, build_autoencoder(config), torch.zeros(CHANNELS), torch.ones(CHANNELS))


class Pixels:
    """Random images, which are remembered when they are asked for; from the `fails_at`-th on they cannot be had."""

    def __init__(self, count, fails_at=None):
        self.pixels = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        self.asked, self.fails_at = [], fails_at

    def __call__(self, indices):
        self.asked += list(indices)
        if self.fails_at is not None and len(self.asked) > self.fails_at:
            raise KeyboardInterrupt
        return self.pixels[indices]


def image_set(pixels, content=None):
    count = len(pixels.pixels)
    content = np.arange(count) if content is None else np.array(content)
    return ImageSet(np.arange(count) % 3, np.zeros(count, np.int8), content, pixels)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def open_shards(folder, names, tmp_path):
    assemble(folder, names, tmp_path / "latents/train")
    (tmp_path / "latents/normaliser.json").write_text(json.dumps(fixed(1.0, CHANNELS)))
    return LatentBatches.load(tmp_path / "latents/train")


def test_rows_are_images_and_their_mirror_images(tokenizer, tmp_path):
    images = image_set(Pixels(10))
    encode_shards(images, tokenizer, SETTINGS, tmp_path / "shards")
    data = open_shards(tmp_path / "shards", shard_names(images, SETTINGS), tmp_path)
    pixels = torch.from_numpy(images.images.pixels)
    plain, mirrored = (tokenizer.encode_moments(from_bytes(p)) for p in (pixels, pixels.flip(2)))
    assert len(data) == 20
    assert torch.allclose(data.moments(torch.arange(0, 20, 2)), plain, atol=1e-5)
    assert torch.allclose(data.moments(torch.arange(1, 20, 2)), mirrored, atol=1e-5)
    assert not torch.allclose(plain, mirrored, atol=1e-2)
    assert data.labels.tolist() == np.repeat(images.labels, 2).tolist()


def test_without_mirror_images_a_row_is_an_image(tokenizer, tmp_path):
    images, settings = image_set(Pixels(5)), EncodeConfig(mirror=False, batch=2, shard=3)
    encode_shards(images, tokenizer, settings, tmp_path / "shards")
    data = open_shards(tmp_path / "shards", shard_names(images, settings), tmp_path)
    plain = tokenizer.encode_moments(from_bytes(torch.from_numpy(images.images.pixels)))
    assert torch.allclose(data.moments(torch.arange(5)), plain, atol=1e-5)


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_processes_share_the_shards(tokenizer, tmp_path, processes):
    encode_shards(image_set(Pixels(10)), tokenizer, SETTINGS, tmp_path / "alone")
    together = [Pixels(10) for _ in range(processes)]
    for process, pixels in enumerate(together):
        encode_shards(image_set(pixels), tokenizer, SETTINGS, tmp_path / "together", process, processes)
    assert contents(tmp_path / "alone") == contents(tmp_path / "together")
    assert sorted(i for pixels in together for i in pixels.asked) == list(range(10))
    assert [len(pixels.asked) for pixels in together] == [
        sum([4, 4, 2][k::processes]) for k in range(processes)
    ]


def test_interrupted_encoding_goes_on_where_it_was(tokenizer, tmp_path):
    encode_shards(image_set(Pixels(10)), tokenizer, SETTINGS, tmp_path / "at once")
    with pytest.raises(KeyboardInterrupt):
        encode_shards(image_set(Pixels(10, fails_at=7)), tokenizer, SETTINGS, tmp_path / "in parts")
    assert [path.name for path in (tmp_path / "in parts").glob("*.arrow")] == ["data-00000-of-00003.arrow"]
    rest = Pixels(10)
    encode_shards(image_set(rest), tokenizer, SETTINGS, tmp_path / "in parts")
    assert rest.asked == list(range(4, 10))
    assert contents(tmp_path / "in parts") == contents(tmp_path / "at once")


def test_equal_files_are_encoded_once_and_kept_under_each_label(tokenizer, tmp_path):
    pixels = Pixels(10)
    content = [0, 1, 2, 3, 0, 4, 5, 1, 6, 0]
    images = image_set(pixels, content)
    encode_shards(images, tokenizer, SETTINGS, tmp_path / "shards")
    assert sorted(pixels.asked) == [0, 1, 2, 3, 5, 6, 8]
    names = shard_names(images, SETTINGS)
    assert len(names) == 2  # seven contents
    data = open_shards(tmp_path / "shards", names, tmp_path)
    assert len(data) == 20
    order = np.argsort(content, kind="stable")
    assert data.labels[::2].tolist() == images.labels[order].tolist()
    expected = tokenizer.encode_moments(from_bytes(torch.from_numpy(pixels.pixels[[0, 1]])))
    assert torch.allclose(data.moments(torch.tensor([0, 2, 4])), expected[[0, 0, 0]], atol=1e-5)
    assert torch.allclose(data.moments(torch.tensor([6, 8])), expected[[1, 1]], atol=1e-5)


def test_notes_tell_the_statistics_of_the_rows(tokenizer, tmp_path):
    images = image_set(Pixels(10))
    encode_shards(images, tokenizer, SETTINGS, tmp_path / "shards")
    names = shard_names(images, SETTINGS)
    parts = [ChannelStatistics.from_notes(read_notes(tmp_path / "shards" / name)) for name in names]
    assert [part.count for part in parts] == [8, 8, 4]
    data = open_shards(tmp_path / "shards", names, tmp_path)
    rows = data.moments(torch.arange(20))
    assert measured(parts)["mean"] == pytest.approx(rows[:, :CHANNELS].mean(dim=(0, 2, 3)).tolist(), abs=1e-6)


def test_assembly_keeps_the_shards_and_replaces_an_older_folder(tokenizer, tmp_path):
    images = image_set(Pixels(10))
    encode_shards(images, tokenizer, SETTINGS, tmp_path / "shards")
    (tmp_path / "train").mkdir()
    (tmp_path / "train/data-00000-of-00001.arrow").touch()
    names = shard_names(images, SETTINGS)
    assemble(tmp_path / "shards", names, tmp_path / "train")
    assert sorted(contents(tmp_path / "train")) == sorted([*names, "state.json", "dataset_info.json"])
    assert sorted(name for name in contents(tmp_path / "shards") if name.endswith(".arrow")) == names
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
