"""Inception-v3 as the FID literature uses it, by torch-fidelity's own extractor, from a weights file on disk."""

from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from metrics.errors import UserError
from metrics.published.weights import opening, require, weights_sha256

FILE = "weights-inception-2015-12-05-6726825d.pth"


class Inception:
    """2048 pool features and the 1008 logits without bias, in float32 on any batch size."""

    name, kind = "inception-v3-compat", "inception"
    resize: str | None = "299 x 299, bilinear (TensorFlow 1)"
    knows_labels = False  # 1008 classes in an order of their own, not ImageNet's 1000 by sorted synset

    def __init__(self, weights: str | Path) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

        weights = require(weights, "the Inception weights", URL_INCEPTION_V3)
        self.sha256: str | None = weights_sha256(weights)
        copy = _plain_copy(weights)
        with opening(weights, URL_INCEPTION_V3):
            self._network = FeatureExtractorInceptionV3(
                self.name,
                ["2048"],
                feature_extractor_weights_path=copy,
                feature_extractor_internal_dtype="float32",
            )

    @classmethod
    def open(cls, weights: str | Path, class_names: list[str], template: str) -> "Inception":
        """From the weights' file; it reads no prompts."""
        return cls(weights)

    def to(self, device: str | torch.device) -> "Inception":
        """Move to a device."""
        self._network.to(device)
        return self

    def features(self, images: Tensor) -> Tensor:
        """(B, 2048) float32 from (B, 3, H, W) uint8."""
        (features,) = self._network(images.to(self._network.fc.weight.device))
        return features

    def head(self, features: Tensor) -> Tensor:
        """(B, 1008) logits without the bias, which is what the Inception score is defined on."""
        return features @ self._network.fc.weight.float().T


def _plain_copy(weights: Path) -> BytesIO:
    """The file's tensors and nothing else, written anew: torch-fidelity unpickles what it is given without restriction."""
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can fail in any way
        raise UserError(
            f"{weights}: not a plain weights file ({type(error).__name__}): fetch {FILE} again"
        ) from error
    copy = BytesIO()
    torch.save(state, copy)
    copy.seek(0)
    return copy
