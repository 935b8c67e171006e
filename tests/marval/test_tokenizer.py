"""Between images and tokens, where a token is one position of the latents or a square of them."""

import pytest
import torch

from marval.models.settings import TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder, tokens_from_moments


def tokenizer(patch: int) -> Tokenizer:
    config = TokenizerConfig(
        image_channels=1, latent_channels=3, patch=patch, channels=[4, 8], layers_per_block=1, norm_groups=4
    )
    torch.manual_seed(0)
    mean, std = torch.randn(config.token_channels), torch.rand(config.token_channels) + 0.5
    return Tokenizer(config, build_autoencoder(config), mean, std)


def images() -> torch.Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("patch", "shape"), [(1, (2, 64, 3)), (2, (2, 16, 12)), (4, (2, 4, 48))])
def test_tokens_of_any_patch_decode_to_what_the_autoencoder_makes_of_its_latents(patch, shape):
    subject = tokenizer(patch)
    with torch.no_grad():
        moments = subject.encode_moments(images())
        tokens = tokens_from_moments(moments, torch.zeros(2, moments.shape[1] // 2, *moments.shape[2:]))
        posterior = subject.autoencoder.encode(images()[:, :1]).latent_dist
        expected = subject.autoencoder.decode(posterior.mean).sample.expand(-1, 3, -1, -1)
        assert tokens.shape == shape
        assert torch.allclose(subject.decode(tokens), expected, atol=1e-5)


def test_a_token_is_a_square_of_the_latents_with_the_channel_as_slowest_index():
    subject = tokenizer(2)
    subject.mean.zero_()
    subject.std.fill_(1)
    with torch.no_grad():
        moments = subject.encode_moments(images())
        tokens = tokens_from_moments(moments, torch.zeros(2, 12, 4, 4))
        latents = subject.autoencoder.encode(images()[:, :1]).latent_dist.mean
    # token 6 of 4 x 4 is row 1, column 2: positions 2 to 3 and 4 to 5
    assert torch.equal(tokens[:, 6], latents[:, :, 2:4, 4:6].reshape(2, 12))


def test_the_deviation_of_the_posterior_is_moved_with_its_mean():
    subject = tokenizer(2)
    with torch.no_grad():
        std = subject.encode_moments(images()).chunk(2, dim=1)[1] * subject.std
        expected = subject.autoencoder.encode(images()[:, :1]).latent_dist.std
    assert torch.allclose(torch.nn.functional.pixel_shuffle(std, 2), expected, rtol=1e-5)
