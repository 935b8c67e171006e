"""Small random changes of training images that leave the class as it is.

Some hundreds of digits are few, and a judge should not depend on the exact place, tilt or size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def jittered(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Shift by up to 2 pixels in 32, tilt by up to 0.2 rad, stretch by up to 15%, all times `strength`.

    images: (B, 3, H, W) float in [0, 1]; the border is repeated outwards. Returns the same shape and range.
    """
    shift_x, shift_y, tilt, stretch_x, stretch_y = (
        strength * (2 * torch.rand(5, len(images), generator=generator).to(images) - 1)
    ).unbind()
    tilt, width, height = 0.2 * tilt, 1 + 0.15 * stretch_x, 1 + 0.15 * stretch_y
    rows = [
        torch.stack([width * tilt.cos(), -tilt.sin(), 0.125 * shift_x], dim=1),
        torch.stack([tilt.sin(), height * tilt.cos(), 0.125 * shift_y], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
