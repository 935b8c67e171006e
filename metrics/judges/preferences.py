"""Pairs of images for preference losses: a real image, and a worse one for the same prompt.

The worse image is the real one with noise, blurred, blended with another class, partly erased, or it is an
image of another class. Strengths are drawn continuously, so that the score learns degrees and not only
extremes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

KINDS = ("noise", "blur", "blend", "erase", "mismatch")


def worse_images(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """A dispreferred partner for each image.

    images: (B, 3, H, W) float in [0, 1]; labels: (B,). Returns (B, 3, H, W) float in [0, 1]. A batch of one
    class has no mismatched image; the pair is then the image with itself, which no loss can learn from.
    """
    batch = len(images)
    # half of the pairs mismatch: the damages are learnt at once, which image belongs to which prompt is not
    damages = len(KINDS) - 1
    kind = torch.randint(2 * damages, (batch,), generator=generator).clamp(max=damages).to(images.device)
    strength = torch.rand(batch, generator=generator).to(images)
    noise = torch.randn(images.shape, generator=generator).to(images)
    corner = torch.rand(batch, 2, generator=generator).to(images)
    other = images[_partners(labels, generator)]
    choices = torch.stack(
        [
            _noisy(images, noise, strength),
            _blurred(images, strength),
            _blended(images, other, strength),
            _erased(images, corner, strength),
            other,
        ]
    )  # (kinds, B, 3, H, W)
    return choices[kind, torch.arange(batch, device=images.device)]


def _partners(labels: Tensor, generator: torch.Generator) -> Tensor:
    """(B,) index of a random image with another label."""
    lottery = torch.rand(len(labels), len(labels), generator=generator).to(labels.device)
    same = labels[:, None] == labels[None]
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return torch.where(own, -0.5, torch.where(same, -1.0, lottery)).argmax(1)


def _noisy(images: Tensor, noise: Tensor, strength: Tensor) -> Tensor:
    return (images + _column(0.1 + 0.4 * strength) * noise).clamp(0, 1)


def _blurred(images: Tensor, strength: Tensor) -> Tensor:
    """Mix with a copy whose cells of 1/8 of the side are averaged."""
    side = images.shape[-1]
    coarse = F.interpolate(
        F.avg_pool2d(images, side // 8), size=(side, side), mode="bilinear", align_corners=False
    )
    return torch.lerp(images, F.avg_pool2d(coarse, 5, 1, 2), _column(0.3 + 0.7 * strength))


def _blended(images: Tensor, other: Tensor, strength: Tensor) -> Tensor:
    return torch.lerp(images, other, _column(0.25 + 0.35 * strength))


def _erased(images: Tensor, corner: Tensor, strength: Tensor) -> Tensor:
    """Grey out a square of 30 to 70% of the side, wholly inside the image.

    Black would not show on a black ground.
    """
    side = images.shape[-1]
    size = (0.3 + 0.4 * strength)[:, None]
    start = corner * (1 - size)  # (B, 2)
    grid = (torch.arange(side, device=images.device) + 0.5) / side
    inside = (grid >= start[..., None]) & (grid < (start + size)[..., None])  # (B, 2, side)
    hole = inside[:, 0, :, None] & inside[:, 1, None, :]
    return images.masked_fill(hole[:, None], 0.5)


def _column(values: Tensor) -> Tensor:
    return values[:, None, None, None]
