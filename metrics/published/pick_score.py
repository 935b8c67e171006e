"""PickScore at full scale: exp(logit scale) times the cosine of transformers' CLIP-H/14, fine-tuned on
preferences.

It can be the reward of RL training, so besides the publication's own path for images in bytes there is a differentiable one.
"""

from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from metrics.judges.prompts import TEMPLATE
from metrics.published.base import TwoTowerScorer
from metrics.published.weights import opening, require, weights_sha256

SOURCE = (
    "https://huggingface.co/yuvalkirstain/PickScore_v1 (its processor: laion/CLIP-ViT-H-14-laion2B-s32B-b79K)"
)


class PickScoreV1(TwoTowerScorer):
    """Score of each image for its class's prompt. `model`: CLIPModel; `processor`: its CLIPProcessor."""

    weights = "pick-score"

    def __init__(
        self,
        model: nn.Module,
        processor: Any,
        class_names: list[str],
        template: str = TEMPLATE,
        sha256: str | None = None,
    ) -> None:
        super().__init__(model, class_names, template, "PickScore_v1", sha256)
        self._processor = processor
        self._recompute_layers()

    @classmethod
    def open(cls, weights: str | Path, class_names: list[str], template: str = TEMPLATE) -> Self:
        """A folder with the model's and the processor's files."""
        from transformers import CLIPModel, CLIPProcessor

        folder = require(weights, "PickScore's folder", SOURCE)
        with opening(folder, SOURCE):
            model = CLIPModel.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
            processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        return cls(model, processor, class_names, template, weights_sha256(folder))

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) scores of images (B, 3, H, W), float in [0, 1]; differentiable in the images.

        Images are prepared as the processor does (shorter side resized by antialiased bicubic interpolation, centre crop,
        normalisation), but never rounded to bytes. Under autocast the tower computes in that precision, the score in float32.
        """
        return self._similarity(self.prepare(images), labels)

    def prepare(self, images: Tensor) -> Tensor:
        """Pixels that the tower takes, from images (B, 3, H, W) in [0, 1]."""
        taken = self._processor.image_processor
        side, shape = taken.size["shortest_edge"], images.shape[-2:]
        # the longer side is cut to whole pixels, as transformers does
        height, width = (int(side * length / min(shape)) for length in shape)
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        down, across = (_resizing(*pair, images) for pair in zip(shape, (height, width), strict=True))
        with torch.autocast(images.device.type, enabled=False):
            resized = (down @ (images @ across.T).clamp(0, 1)).clamp(0, 1)  # Pillow clips after each pass
        crop = taken.crop_size
        top, left = (height - crop["height"]) // 2, (width - crop["width"]) // 2
        cropped = resized[..., top : top + crop["height"], left : left + crop["width"]]
        mean, std = (cropped.new_tensor(x)[:, None, None] for x in (taken.image_mean, taken.image_std))
        return (cropped - mean) / std

    def _scores(self, pictures: list[Image.Image], labels: Tensor) -> Tensor:
        pixels = self._processor(images=pictures, return_tensors="pt")["pixel_values"]
        return self._similarity(pixels.to(self.device), labels)

    def _similarity(self, pixels: Tensor, labels: Tensor) -> Tensor:
        seen = self._model.get_image_features(pixel_values=pixels.to(self._model.dtype))
        text = self.prompt_embeddings()[labels]
        with torch.autocast(pixels.device.type, enabled=False):
            seen = seen.to(torch.promote_types(seen.dtype, torch.float32))
            cosine = (F.normalize(seen, dim=-1) * text).sum(-1)
            return self._model.logit_scale.exp() * cosine

    def _embed_prompts(self, prompts: list[str]) -> Tensor:
        tokens = self._processor(
            text=prompts, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
        ).to(self.device)
        said = self._model.get_text_features(tokens["input_ids"], attention_mask=tokens["attention_mask"])
        return F.normalize(said, dim=-1)

    def _recompute_layers(self) -> None:
        """Have backward compute the image tower's layers again: CLIP-H's 32 would hold gigabytes for a batch.

        transformers does so in training mode alone; the layers themselves stay in evaluation mode.
        """
        self._model.gradient_checkpointing_enable({"use_reentrant": False})
        self._model.vision_model.encoder.training = True


def _resizing(length: int, target: int, like: Tensor) -> Tensor:
    """(target, length) matrix of antialiased bicubic interpolation along one side.

    As a product with it, resizing has a deterministic gradient on a GPU too.
    """
    unit = torch.eye(length, dtype=like.dtype, device=like.device)[None, None]
    return F.interpolate(unit, size=(target, length), mode="bicubic", antialias=True)[0, 0]
