"""ImageReward at full scale: the image-reward package's own network, in batches.

The package's `score` takes one image at a time. `score_gard` (its spelling) takes tensors; given the same
preprocessed images and the prompt padded to the same 35 tokens it returns the same rewards, batch by batch,
and keeps gradients.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from metrics.errors import UserError
from metrics.judges.prompts import TEMPLATE, class_prompts
from metrics.published.weights import file_sha256, require, text_sha256

TOKENS = 35  # of a prompt, as the package pads
SOURCE = "https://huggingface.co/THUDM/ImageReward (ImageReward.pt, med_config.json)"


class ImageRewardV1:
    """Standardised reward of each image for its class's prompt.

    `model`: the package's ImageReward network.
    """

    metric = "image_reward"
    role = "unseen judge"
    report_scale = 1.0
    name = "ImageReward-v1.0"

    def __init__(
        self, model: nn.Module, class_names: list[str], template: str = TEMPLATE, sha256: str | None = None
    ) -> None:
        self.sha256 = sha256
        self.protocol: dict[str, Any] = {"template": template, "class_names_sha256": text_sha256(class_names)}
        self._model: Any = model.eval().float()
        self._prompts = class_prompts(template, class_names)

    @classmethod
    def from_folder(
        cls, folder: str | Path, class_names: list[str], template: str = TEMPLATE
    ) -> "ImageRewardV1":
        """A folder with ImageReward.pt and med_config.json; bert-base-uncased's tokenizer in the hub cache."""
        from ImageReward.ImageReward import ImageReward

        weights = require(Path(folder) / "ImageReward.pt", "ImageReward's weights", SOURCE)
        config = require(Path(folder) / "med_config.json", "ImageReward's text configuration", SOURCE)
        try:
            model = ImageReward(med_config=str(config), device="cpu")
        except OSError as error:
            raise UserError(
                "ImageReward needs the tokenizer of bert-base-uncased: fetch it into the hub's cache with "
                "`huggingface-cli download bert-base-uncased`"
            ) from error
        state = torch.load(weights, map_location="cpu", weights_only=True)
        missing = [
            key
            for key in model.load_state_dict(state, strict=False).missing_keys
            if "position_ids" not in key
        ]
        if missing:
            raise UserError(
                f"{weights}: lacks {missing[0]} and {len(missing) - 1} more: fetch it again from {SOURCE}"
            )
        return cls(model, class_names, template, file_sha256(weights))

    def to(self, device: str | torch.device) -> "ImageRewardV1":
        """Move to a device."""
        self._model.to(device)
        self._model.device = device  # the package keeps it as a plain attribute
        return self

    def rewards(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """(B,) rewards from preprocessed pixels (B, 3, 224, 224); differentiable in the pixels."""
        text = self._model.blip.tokenizer(
            [self._prompts[label] for label in labels.tolist()],
            padding="max_length",
            truncation=True,
            max_length=TOKENS,
            return_tensors="pt",
        ).to(pixels.device)
        return self._model.score_gard(text.input_ids, text.attention_mask, pixels)[:, 0]

    @torch.no_grad()
    def score_images(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int = 64
    ) -> NDArray[np.float32]:
        """(N,) rewards of (N, H, W, 3) uint8 images."""
        device = next(self._model.parameters()).device
        scores = []
        for start in range(0, len(images), batch):
            part = [self._model.preprocess(Image.fromarray(image)) for image in images[start : start + batch]]
            asked = torch.from_numpy(labels[start : start + batch])
            scores.append(self.rewards(torch.stack(part).to(device), asked).float().cpu())
        return torch.cat(scores).numpy()
