"""DINOv2 ViT-L/14 for FD-DINOv2 (Stein et al. 2023, "Exposing flaws of generative model evaluation metrics"), from files on disk.

As their code (layer6ai-labs/dgm-eval) does by default: Pillow's bicubic resizing of bytes, ImageNet's normalisation, and the
class token after the last norm.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metrics.published.weights import opening, require, weights_sha256

SOURCE = "https://huggingface.co/facebook/dinov2-large (model.safetensors, config.json)"
SIDE = 224
# ImageNet's mean and standard deviation of each channel
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Dinov2:
    """The class token of transformers' Dinov2, 1,024 numbers for ViT-L, in float32."""

    name, kind = "dinov2-vit-l14", "dinov2"
    knows_labels = False
    resize: str | None = f"{SIDE} x {SIDE}, bicubic with antialias (Pillow)"

    def __init__(self, weights: str | Path) -> None:
        from safetensors.torch import load_file
        from transformers import Dinov2Config, Dinov2Model

        folder = require(weights, "DINOv2's folder", SOURCE)
        file = require(folder / "model.safetensors", "DINOv2's weights", SOURCE)
        config = require(folder / "config.json", "DINOv2's configuration", SOURCE)
        with opening(config, SOURCE), torch.device("meta"):
            network: Any = Dinov2Model(Dinov2Config.from_json_file(config))
        # strictly: transformers' own way of loading draws whatever is missing at random, with a warning
        with opening(file, SOURCE):
            network.load_state_dict(load_file(file), strict=True, assign=True)
        self._network = network.eval().float().requires_grad_(False)
        self.sha256: str | None = weights_sha256(folder)

    @classmethod
    def open(cls, weights: str | Path, class_names: list[str], template: str) -> "Dinov2":
        """From the weights' folder; it reads no prompts."""
        return cls(weights)

    def to(self, device: str | torch.device) -> "Dinov2":
        """Move to a device."""
        self._network.to(device)
        return self

    def features(self, images: Tensor) -> Tensor:
        """(B, D) float32 from (B, 3, H, W) uint8."""
        return self._network(pixel_values=prepared(images).to(self._network.device)).pooler_output

    def head(self, features: Tensor) -> Tensor:
        """(B, 0): it was trained without classes."""
        return features[:, :0]


def prepared(images: Tensor) -> Tensor:
    """Pixels (B, 3, SIDE, SIDE) that the network takes, from bytes (B, 3, H, W)."""
    pictures = [Image.fromarray(image) for image in images.permute(0, 2, 3, 1).cpu().numpy()]
    resized = np.stack(
        [np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for picture in pictures]
    )
    mean, std = (torch.tensor(x)[:, None, None] for x in (MEAN, STD))
    return (torch.from_numpy(resized).permute(0, 3, 1, 2).float() / 255 - mean) / std
