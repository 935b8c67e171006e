"""The image side of the judges, as transformers of their size: enough to count what they cost.

Prompts are embedded once for all images and left out. ImageReward's small cross-attention to the prompt, 5 % of it, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from marval.models.transformer import Block


@dataclass(frozen=True)
class Vision:
    """Size of a vision transformer; MLP of four times the width."""

    width: int
    layers: int
    patch: int  # pixels
    side: int  # of the image that it sees, pixels


PICK_SCORE = Vision(1280, 32, 14, 224)  # CLIP ViT-H/14
PUBLISHED = {
    "dinov2": Vision(1024, 24, 14, 224),  # ViT-L/14
    "clip-l": Vision(1024, 24, 14, 224),
    "clip-b": Vision(768, 12, 32, 224),
    "image-reward": Vision(1024, 24, 16, 224),  # BLIP's
    "pick-score": PICK_SCORE,
}
HEAD_WIDTH = 64


class Judge(nn.Module):
    """A frozen judge of the size; what it says means nothing."""

    def __init__(self, size: Vision) -> None:
        super().__init__()
        self.side = size.side
        self.embed = nn.Conv2d(3, size.width, size.patch, size.patch)
        heads = max(1, size.width // HEAD_WIDTH)
        self.blocks = nn.Sequential(*(Block(size.width, heads, 0.0) for _ in range(size.layers)))
        self.requires_grad_(False)

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) from images (B, 3, H, W)."""
        seen = F.interpolate(images, (self.side, self.side), mode="bicubic")
        return self.blocks(self.embed(seen).flatten(2).transpose(1, 2)).mean(dim=(1, 2))
