"""What passes without gradients cost: encoding and decoding images, judging them. On the meta device, with memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from marval.costs.counting import meta
from marval.costs.gpu import Meter, gpu_arithmetic
from marval.costs.judges import PUBLISHED, Judge
from marval.models.settings import TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder

M = TypeVar("M", bound=nn.Module)
META = torch.device("meta")
INCEPTION_SIDE = 299


@dataclass(frozen=True)
class PassCost:
    """One batch through a network."""

    flops: float  # of one image
    peak_bytes: float  # of the batch, weights included


def encoding(config: TokenizerConfig, size: int, batch: int) -> PassCost:
    """Images of `size` squared pixels to moments."""
    images = (batch, 3, size, size)
    return _passed(
        lambda: _tokenizer(config), lambda tokenizer: tokenizer.encode_moments(meta(*images)), batch
    )


def decoding(config: TokenizerConfig, tokens: int, batch: int) -> PassCost:
    """Tokens to images."""
    shape = (batch, tokens, config.token_channels)
    return _passed(lambda: _tokenizer(config), lambda tokenizer: tokenizer.decode(meta(*shape)), batch)


def judging(size: int, batch: int) -> PassCost:
    """All published judges, one after the other, on images of `size` squared pixels."""

    def build() -> nn.ModuleList:
        from torchvision.models import inception_v3

        network = inception_v3(weights=None, aux_logits=False, init_weights=False)
        return nn.ModuleList([network, *(Judge(vision) for vision in PUBLISHED.values())]).eval()

    def run(judges: nn.ModuleList) -> None:
        judges[0](meta(batch, 3, INCEPTION_SIDE, INCEPTION_SIDE))
        for judge in judges[1:]:
            assert isinstance(judge, Judge)
            judge.score(meta(batch, 3, size, size), meta(batch))

    return _passed(build, run, batch)


def _tokenizer(config: TokenizerConfig) -> Tokenizer:
    channels = torch.ones(config.token_channels)
    return Tokenizer(config, build_autoencoder(config), channels, channels)


def _passed(build: Callable[[], M], run: Callable[[M], Tensor | None], batch: int) -> PassCost:
    meter = Meter(META)
    with gpu_arithmetic(mixed=False), meter, torch.no_grad():
        with META:
            module = build()
        run(module)
    return PassCost(meter.flops / batch, meter.peak)
