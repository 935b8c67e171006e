"""What the published scorers have in common: prompts by class, protocol, device, and images in batches."""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from metrics.judges.prompts import class_prompts, prompt_protocol
from metrics.judges.registry import published
from metrics.precision import judging


class PublishedScorer:
    """A frozen network that scores images against their classes' prompts.

    `name` and `sha256` identify it in result files. Class names are keyed by index: two classes may share one. Subclasses set
    `weights`, their entry in the registry of weights, and give `open` and `_scores`.
    """

    weights: ClassVar[str]
    report_scale: ClassVar[float] = 1.0

    def __init__(
        self, model: nn.Module, class_names: list[str], template: str, name: str, sha256: str | None
    ) -> None:
        self.name, self.sha256, self.class_names = name, sha256, list(class_names)
        self.protocol: dict[str, Any] = prompt_protocol(template, class_names)
        self._model: Any = model.eval().float().requires_grad_(False)
        self._prompts = class_prompts(template, class_names)

    @classmethod
    def open(cls, weights: str | Path, class_names: list[str], template: str) -> Self:
        """From the weights' file or folder."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """Its name in the registry of judges."""
        return published(self.weights).name

    @property
    def metric(self) -> str:
        """Name of the metric that its scores are."""
        return published(self.weights).metric

    @property
    def device(self) -> torch.device:
        """Where the weights are; images are moved there."""
        return next(self._model.parameters()).device

    def to(self, device: str | torch.device) -> Self:
        """Move to a device."""
        self._model.to(device)
        return self

    @judging()
    def score_images(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int = 64
    ) -> NDArray[np.float32]:
        """(N,) raw fp32 scores of (N, H, W, 3) uint8 images for their classes' prompts."""
        parts = []
        for start in range(0, len(images), batch):
            pictures = [Image.fromarray(image) for image in images[start : start + batch]]
            asked = torch.from_numpy(labels[start : start + batch]).to(self.device)
            parts.append(self._scores(pictures, asked).float().cpu())
        return torch.cat(parts).numpy()

    def _scores(self, pictures: list[Image.Image], labels: Tensor) -> Tensor:
        """(B,) scores of one batch, prepared as the publication prepares images."""
        raise NotImplementedError


class TwoTowerScorer(PublishedScorer):
    """A scorer that compares an image's embedding with its prompt's; the K prompts are embedded once."""

    _text: Tensor | None = None

    def to(self, device: str | torch.device) -> Self:
        self._text = None
        return super().to(device)

    def prompt_embeddings(self) -> Tensor:
        """(K, D) unit vectors in float32, by class index."""
        if self._text is None:
            prompts = [self._prompts[i : i + 256] for i in range(0, len(self._prompts), 256)]
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
                self._text = torch.cat([self._embed_prompts(part) for part in prompts])
        return self._text

    def _embed_prompts(self, prompts: list[str]) -> Tensor:
        """(B, D) unit vectors."""
        raise NotImplementedError
