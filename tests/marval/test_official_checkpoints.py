"""MAR's checkpoint files: what a training script writes is read strictly, written back, and never executed."""

import argparse
import math
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from marval.errors import UserError
from marval.models.checkpoint import read_checkpoint
from marval.models.mar import MAR
from marval.models.official import read_official, to_official, write_official
from marval.models.settings import MARConfig

# dim, blocks of encoder and of decoder, heads, head width, head blocks, million parameters: the paper's table of sizes
SIZES = {
    "base": (768, 12, 12, 1024, 6, 208),
    "large": (1024, 16, 16, 1280, 8, 479),
    "huge": (1280, 20, 16, 1536, 12, 943),
}


def size(name: str) -> MARConfig:
    width, blocks, heads, head_width, head_blocks, _ = SIZES[name]
    return MARConfig(
        side=16, channels=16, classes=1000, width=width, encoder_blocks=blocks, decoder_blocks=blocks, heads=heads,
        head={"width": head_width, "blocks": head_blocks},
    )  # fmt: skip


def linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def published_entries(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published checkpoint, written down from the architecture and not from our code."""
    dim, blocks, _, width, head_blocks, _ = SIZES[name]
    entries: dict[str, tuple[int, ...]] = {
        "class_emb.weight": (1000, dim), "fake_latent": (1, dim), "mask_token": (1, 1, dim),
        "encoder_pos_embed_learned": (1, 320, dim), "decoder_pos_embed_learned": (1, 320, dim),
        "diffusion_pos_embed_learned": (1, 256, dim),
        **linear("z_proj", 16, dim), **norm("z_proj_ln", dim), **linear("decoder_embed", dim, dim),
    }  # fmt: skip
    for part in ("encoder", "decoder"):
        entries |= norm(f"{part}_norm", dim)
        for i in range(blocks):
            block = f"{part}_blocks.{i}"
            entries |= norm(f"{block}.norm1", dim) | norm(f"{block}.norm2", dim)
            entries |= linear(f"{block}.attn.qkv", dim, 3 * dim) | linear(f"{block}.attn.proj", dim, dim)
            entries |= linear(f"{block}.mlp.fc1", dim, 4 * dim) | linear(f"{block}.mlp.fc2", 4 * dim, dim)
    head = "diffloss.net"
    entries |= linear(f"{head}.time_embed.mlp.0", 256, width) | linear(
        f"{head}.time_embed.mlp.2", width, width
    )
    entries |= linear(f"{head}.cond_embed", dim, width) | linear(f"{head}.input_proj", 16, width)
    for i in range(head_blocks):
        block = f"{head}.res_blocks.{i}"
        entries |= norm(f"{block}.in_ln", width) | linear(f"{block}.adaLN_modulation.1", width, 3 * width)
        entries |= linear(f"{block}.mlp.0", width, width) | linear(f"{block}.mlp.2", width, width)
    last = f"{head}.final_layer"
    return (
        entries | linear(f"{last}.linear", width, 32) | linear(f"{last}.adaLN_modulation.1", width, 2 * width)
    )


@pytest.mark.parametrize("name", SIZES)
def test_published_sizes_have_the_published_names_shapes_and_parameter_counts(name):
    with torch.device("meta"):
        model = MAR(size(name))
    shapes = {key: tuple(value.shape) for key, value in to_official(model.state_dict()).items()}
    assert shapes == published_entries(name)
    # the published 208M, 479M and 943M are rounded up: 478.3 and 942.4 million
    assert math.ceil(sum(p.numel() for p in model.parameters()) / 1e6) == SIZES[name][-1]


@pytest.fixture
def trained(tiny_mar) -> dict:
    """A checkpoint as MAR's training script leaves it, optimiser state and arguments included."""
    optimiser = torch.optim.AdamW(tiny_mar.parameters(), lr=1e-4, betas=(0.9, 0.95))
    sum(p.sum() for p in tiny_mar.parameters()).backward()
    optimiser.step()
    ema = {name: value + 1 for name, value in to_official(tiny_mar.state_dict()).items()}
    return {
        "model": OrderedDict(to_official(tiny_mar.state_dict())),
        "model_ema": OrderedDict(ema),
        "optimizer": optimiser.state_dict(),
        "epoch": 799,
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "args": argparse.Namespace(model="mar_tiny", lr=1e-4, blr=None, output_dir="out", distributed=True),
    }


@pytest.mark.parametrize("keep", [6, 2])  # the script's six entries; the published files have the first two
def test_the_averaged_weights_are_read(trained, tiny_mar, tmp_path, keep):
    path = tmp_path / "checkpoint-last.pth"
    allowed_before = set(torch.serialization.get_safe_globals())
    torch.save(dict(list(trained.items())[:keep]), path)
    model = read_official(path, tiny_mar.config)
    assert not model.training
    for name, value in tiny_mar.state_dict().items():
        assert torch.equal(model.state_dict()[name], value + 1)
    assert set(torch.serialization.get_safe_globals()) == allowed_before


def test_writing_gives_back_what_was_read(trained, tiny_mar, tmp_path):
    torch.save(trained, tmp_path / "theirs.pth")
    average = read_official(tmp_path / "theirs.pth", tiny_mar.config)
    write_official(tmp_path / "ours.pth", tiny_mar, average)
    ours = read_checkpoint(tmp_path / "ours.pth")
    for key in ("model", "model_ema"):
        assert ours[key].keys() == trained[key].keys()
        assert all(torch.equal(ours[key][name], value) for name, value in trained[key].items())


def spoil(state: dict, what: str) -> None:
    if what == "missing":
        del state["encoder_norm.weight"], state["diffloss.net.input_proj.bias"]
    elif what == "unexpected":
        state["decoder_pred.weight"] = torch.zeros(1)
    else:
        state["mask_token"] = torch.zeros(1, 1, 24)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "lacks diffloss.net.input_proj.bias, encoder_norm.weight: it is of another architecture"),
        ("unexpected", "has unexpected decoder_pred.weight: it is of another architecture"),
        ("misshapen", "mask_token is (1, 1, 24), not (1, 1, 16): it is of another size"),
    ],
)
def test_other_names_and_shapes_are_refused(trained, tiny_mar, tmp_path, what, message):
    path = tmp_path / "checkpoint-last.pth"
    spoil(trained["model_ema"], what)
    torch.save(trained, path)
    with pytest.raises(UserError) as error:
        read_official(path, tiny_mar.config)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


class Attack:
    """A pickle that makes a file when it is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return eval, (f"open({str(self.target)!r}, 'w')",)


@pytest.mark.parametrize("hidden_in", ["model_ema", "args"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused(trained, tiny_mar, tmp_path, hidden_in, zipped):
    path, target = tmp_path / "checkpoint-last.pth", tmp_path / "made-by-the-attack"
    attack = Attack(target)
    trained[hidden_in] = argparse.Namespace(lr=attack) if hidden_in == "args" else attack
    torch.save(trained, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError) as error:
        read_official(path, tiny_mar.config)
    assert "is refused, for it would run code (eval)" in str(error.value)
    assert "\n" not in str(error.value)
    assert not target.exists()
    pickle.loads(pickle.dumps(attack)).close()
    assert target.exists()  # the attack does work where pickles are trusted


@pytest.mark.parametrize("damage", ["cut off", "empty", "a web page", "not a checkpoint", "missing"])
def test_a_damaged_file_is_named(trained, tiny_mar, tmp_path, damage):
    path = tmp_path / "checkpoint-last.pth"
    torch.save(trained if damage == "cut off" else [1, 2], path)
    whole = path.read_bytes()
    content = {"cut off": whole[: len(whole) // 2], "empty": b"", "a web page": b"<!DOCTYPE html>" * 99}
    path.write_bytes(content.get(damage, whole))
    if damage == "missing":
        path.unlink()
    with pytest.raises(UserError, match="fetch it") as error:
        read_official(path, tiny_mar.config)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
