"""PickScore at full scale: exp(logit scale) times the cosine of transformers' CLIP-H/14, fine-tuned on
preferences.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from metrics.judges.prompts import TEMPLATE, class_prompts
from metrics.published.weights import file_sha256, require, text_sha256

SOURCE = (
    "https://huggingface.co/yuvalkirstain/PickScore_v1 (its processor: laion/CLIP-ViT-H-14-laion2B-s32B-b79K)"
)


class PickScoreV1:
    """Score of each image for its class's prompt. `model`: CLIPModel; `processor`: its CLIPProcessor."""

    metric = "pick_score"
    role = "training reward"
    report_scale = 1.0
    name = "PickScore_v1"

    def __init__(
        self,
        model: nn.Module,
        processor: Any,
        class_names: list[str],
        template: str = TEMPLATE,
        sha256: str | None = None,
    ) -> None:
        self.sha256 = sha256
        self.protocol: dict[str, Any] = {"template": template, "class_names_sha256": text_sha256(class_names)}
        self._model: Any = model.eval().float()
        self._processor = processor
        self._prompts = class_prompts(template, class_names)
        self._text: Tensor | None = None

    @classmethod
    def from_folder(
        cls, folder: str | Path, class_names: list[str], template: str = TEMPLATE
    ) -> "PickScoreV1":
        """A folder with the model's and the processor's files."""
        from transformers import CLIPModel, CLIPProcessor

        folder = require(folder, "PickScore's folder", SOURCE)
        model = CLIPModel.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
        processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        return cls(model, processor, class_names, template, file_sha256(folder))

    def to(self, device: str | torch.device) -> "PickScoreV1":
        """Move to a device."""
        self._model.to(device)
        self._text = None
        return self

    @torch.no_grad()
    def score_images(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int = 64
    ) -> NDArray[np.float32]:
        """(N,) scores of (N, H, W, 3) uint8 images with their classes' prompts."""
        text = self._text_embeddings()
        scores = []
        for start in range(0, len(images), batch):
            part = [Image.fromarray(image) for image in images[start : start + batch]]
            pixels = self._processor(images=part, return_tensors="pt")["pixel_values"].to(text.device)
            image = F.normalize(self._model.get_image_features(pixel_values=pixels), dim=-1)
            cosine = (image * text[torch.from_numpy(labels[start : start + batch])]).sum(-1)
            scores.append((self._model.logit_scale.exp() * cosine).float().cpu())
        return torch.cat(scores).numpy()

    def _text_embeddings(self) -> Tensor:
        """(K, D) unit vectors, computed once, from prompts padded and cut to 77 tokens."""
        if self._text is None:
            device = next(self._model.parameters()).device
            parts = []
            for start in range(0, len(self._prompts), 256):
                tokens = self._processor(
                    text=self._prompts[start : start + 256],
                    padding="max_length",
                    truncation=True,
                    max_length=77,
                    return_tensors="pt",
                )
                parts.append(
                    self._model.get_text_features(
                        input_ids=tokens["input_ids"].to(device),
                        attention_mask=tokens["attention_mask"].to(device),
                    )
                )
            self._text = F.normalize(torch.cat(parts), dim=-1)
        return self._text
