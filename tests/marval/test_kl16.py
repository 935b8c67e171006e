"""KL-16: the published (LDM) layout read into diffusers' autoencoder, against a plain forward pass over the published names."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from marval.errors import UserError
from marval.models.ldm import from_ldm, read_ldm, to_ldm, write_ldm
from marval.models.settings import TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder

KL16 = {
    "latent_channels": 16,
    "channels": [128, 128, 256, 256, 512],
    "layers_per_block": 2,
    "attention": True,
}
SMALL = TokenizerConfig(
    latent_channels=3,
    channels=[8, 8, 16],
    layers_per_block=2,
    norm_groups=4,
    attention=True,
    latent_scale=0.2325,
)


class Published(dict):
    """A published state dict, and the forward pass of its architecture; notes which entries are used."""

    def __init__(self, state: dict[str, Tensor], groups: int, levels: int) -> None:
        super().__init__(state)
        self.groups, self.levels, self.used = groups, levels, set()

    def take(self, name: str) -> tuple[Tensor, Tensor]:
        self.used |= {f"{name}.weight", f"{name}.bias"}
        return self[f"{name}.weight"], self[f"{name}.bias"]

    def norm(self, x: Tensor, name: str) -> Tensor:
        return F.group_norm(x, self.groups, *self.take(name), eps=1e-6)

    def conv(self, x: Tensor, name: str, padding: int = 1, stride: int = 1) -> Tensor:
        return F.conv2d(x, *self.take(name), padding=padding, stride=stride)

    def block(self, x: Tensor, name: str) -> Tensor:
        h = self.conv(F.silu(self.norm(x, f"{name}.norm1")), f"{name}.conv1")
        h = self.conv(F.silu(self.norm(h, f"{name}.norm2")), f"{name}.conv2")
        return h + (x if h.shape == x.shape else self.conv(x, f"{name}.nin_shortcut", padding=0))

    def attention(self, x: Tensor, name: str) -> Tensor:
        h = self.norm(x, f"{name}.norm")
        q, k, v = (self.conv(h, f"{name}.{part}", padding=0).flatten(2) for part in "qkv")
        weights = torch.einsum("bci,bcj->bij", q, k).mul(x.shape[1] ** -0.5).softmax(dim=-1)
        h = torch.einsum("bij,bcj->bci", weights, v).view(x.shape)
        return x + self.conv(h, f"{name}.proj_out", padding=0)

    def middle(self, x: Tensor, name: str) -> Tensor:
        x = self.attention(self.block(x, f"{name}.block_1"), f"{name}.attn_1")
        return self.block(x, f"{name}.block_2")

    def encode(self, images: Tensor) -> Tensor:
        """Posterior mean and log variance."""
        x = self.conv(images, "encoder.conv_in")
        for level in range(self.levels):
            for i in range(2):
                x = self.block(x, f"encoder.down.{level}.block.{i}")
                if level == self.levels - 1:
                    x = self.attention(x, f"encoder.down.{level}.attn.{i}")
            if level < self.levels - 1:
                x = self.conv(F.pad(x, (0, 1, 0, 1)), f"encoder.down.{level}.downsample.conv", 0, stride=2)
        x = F.silu(self.norm(self.middle(x, "encoder.mid"), "encoder.norm_out"))
        return self.conv(self.conv(x, "encoder.conv_out"), "quant_conv", padding=0)

    def decode(self, latents: Tensor) -> Tensor:
        x = self.conv(self.conv(latents, "post_quant_conv", padding=0), "decoder.conv_in")
        x = self.middle(x, "decoder.mid")
        for level in reversed(range(self.levels)):
            for i in range(3):
                x = self.block(x, f"decoder.up.{level}.block.{i}")
            if level > 0:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
                x = self.conv(x, f"decoder.up.{level}.upsample.conv")
        return self.conv(F.silu(self.norm(x, "decoder.norm_out")), "decoder.conv_out")


@pytest.fixture
def published() -> Published:
    """Random weights in the published layout, norms and biases included."""
    state = to_ldm(build_autoencoder(SMALL).state_dict(), SMALL)
    noisy = {name: value + 0.1 * torch.randn_like(value) for name, value in state.items()}
    return Published(noisy, groups=4, levels=3)


def test_the_published_forward_pass_gives_the_same(published, tmp_path):
    path = tmp_path / "kl16.ckpt"
    torch.save({"model": dict(published)}, path)
    autoencoder = read_ldm(path, SMALL)
    assert not autoencoder.training
    images, latents = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(
            autoencoder.encode(images).latent_dist.parameters, published.encode(images), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(
            autoencoder.decode(latents).sample, published.decode(latents), rtol=1e-4, atol=1e-5
        )
    assert published.used == published.keys()  # no entry is read under a name that the architecture lacks


def test_round_trip(published, tmp_path):
    torch.save({"model": dict(published)}, tmp_path / "theirs.ckpt")
    autoencoder = read_ldm(tmp_path / "theirs.ckpt", SMALL)
    write_ldm(tmp_path / "ours.ckpt", autoencoder, SMALL)
    ours = torch.load(tmp_path / "ours.ckpt", weights_only=True)["model"]
    assert ours.keys() == published.keys()
    assert all(torch.equal(ours[name], value) for name, value in published.items())
    back = from_ldm(ours, autoencoder.state_dict(), SMALL)
    assert all(torch.equal(back[name], value) for name, value in autoencoder.state_dict().items())


def test_kl16_has_the_published_entries():
    config = TokenizerConfig.model_validate(KL16)
    with torch.device("meta"):
        state = to_ldm(build_autoencoder(config).state_dict(), config)
    assert len(state) == 312
    # float32 weights of 253.5 MiB: the published file has 254, so there is nothing else in it
    assert sum(value.numel() for value in state.values()) == 66_456_019
    attention = {
        name: tuple(value.shape) for name, value in state.items() if name.startswith("encoder.down.4.attn.")
    }
    assert len(attention) == 20
    for part in ("q", "k", "v", "proj_out"):
        assert attention[f"encoder.down.4.attn.1.{part}.weight"] == (512, 512, 1, 1)
    assert state["decoder.up.4.block.0.conv1.weight"].shape == (512, 512, 3, 3)
    assert state["decoder.up.1.block.0.nin_shortcut.weight"].shape == (128, 256, 1, 1)
    assert not any(".attn." in name for name in state if name.startswith("decoder.up"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.down.2.attn.1.q.weight": None}, "lacks encoder.down.2.attn.1.q.weight"),
        ({"loss.logvar": torch.zeros(())}, "has unexpected loss.logvar"),
        ({"quant_conv.bias": torch.zeros(8)}, "quant_conv.bias is (8,), not (6,)"),
    ],
)
def test_other_names_and_shapes_are_refused(published, tmp_path, change, message):
    path = tmp_path / "kl16.ckpt"
    state = {name: value for name, value in {**published, **change}.items() if value is not None}
    torch.save({"model": state}, path)
    with pytest.raises(UserError) as error:
        read_ldm(path, SMALL)
    assert f"{path}" in str(error.value)
    assert message in str(error.value)


def test_fixed_scale_brings_latents_to_tokens_and_back(published, tmp_path):
    """mean 0 and std 1/scale are multiplication by the scale, as MAR has it."""
    autoencoder = build_autoencoder(SMALL)
    scale = torch.tensor(SMALL.latent_scale)
    tokenizer = Tokenizer(SMALL, autoencoder, torch.zeros(3), (1 / scale).expand(3))
    images = torch.rand(2, 3, 16, 16)
    posterior = autoencoder.encode(images).latent_dist
    mean, std = tokenizer.encode_moments(images).chunk(2, dim=1)
    torch.testing.assert_close(mean, posterior.mean * 0.2325)
    torch.testing.assert_close(std, posterior.std * 0.2325)
    decoded = tokenizer.decode(mean.flatten(2).transpose(1, 2))
    torch.testing.assert_close(decoded, autoencoder.decode(posterior.mean).sample, rtol=1e-4, atol=1e-5)
