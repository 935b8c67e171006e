"""ImageReward at full scale: the image-reward package's own network, in batches.

The package's `score` takes one image at a time. `score_gard` (its spelling) takes tensors; given the same
preprocessed images and the prompt padded to the same 35 tokens it returns the same rewards, batch by batch,
and keeps gradients.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import torch
from PIL import Image
from torch import Tensor, nn

from metrics.errors import UserError
from metrics.judges.prompts import TEMPLATE
from metrics.published.base import PublishedScorer
from metrics.published.weights import opening, require, weights_sha256

TOKENS = 35  # of a prompt, as the package pads
SOURCE = "https://huggingface.co/THUDM/ImageReward (ImageReward.pt, med_config.json)"
VOCABULARY = "bert-base-uncased/vocab.txt"


class ImageRewardV1(PublishedScorer):
    """Standardised reward of each image for its class's prompt.

    `model`: the package's ImageReward network.
    """

    weights = "image-reward"

    def __init__(
        self, model: nn.Module, class_names: list[str], template: str = TEMPLATE, sha256: str | None = None
    ) -> None:
        super().__init__(model, class_names, template, "ImageReward-v1.0", sha256)

    @classmethod
    def open(cls, weights: str | Path, class_names: list[str], template: str = TEMPLATE) -> Self:
        """A folder with ImageReward.pt and med_config.json.

        The tokenizer is bert-base-uncased's: from bert-base-uncased/vocab.txt in the folder, or else from the hub's cache.
        """
        from ImageReward.ImageReward import ImageReward

        folder = Path(weights)
        file = require(folder / "ImageReward.pt", "ImageReward's weights", SOURCE)
        config = require(folder / "med_config.json", "ImageReward's text configuration", SOURCE)
        with _tokenizer_of(folder / VOCABULARY), opening(config, SOURCE):
            model = ImageReward(med_config=str(config), device="cpu")
        with opening(file, SOURCE):
            state = torch.load(file, map_location="cpu", weights_only=True)
            keys = model.load_state_dict(state, strict=False).missing_keys
        missing = [key for key in keys if "position_ids" not in key]
        if missing:
            raise UserError(
                f"{file}: lacks {missing[0]} and {len(missing) - 1} more: fetch it again from {SOURCE}"
            )
        return cls(model, class_names, template, weights_sha256(file))

    def to(self, device: str | torch.device) -> "ImageRewardV1":
        super().to(device)
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

    def _scores(self, pictures: list[Image.Image], labels: Tensor) -> Tensor:
        pixels = torch.stack([self._model.preprocess(picture) for picture in pictures])
        return self.rewards(pixels.to(self.device), labels)


@contextmanager
def _tokenizer_of(vocabulary: Path) -> Iterator[None]:
    """Have the package build its tokenizer from this file, or else from the hub's cache: by itself it asks the hub."""
    from ImageReward.models.BLIP import blip_pretrain
    from transformers import BertTokenizer

    try:
        if vocabulary.is_file():
            tokenizer = BertTokenizer(str(vocabulary), do_lower_case=True)
        else:
            tokenizer = BertTokenizer.from_pretrained("bert-base-uncased", local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{vocabulary}: ImageReward needs BERT's vocabulary: get it from "
            "https://huggingface.co/google-bert/bert-base-uncased and put it there"
        ) from error
    own = blip_pretrain.init_tokenizer
    blip_pretrain.init_tokenizer = lambda: tokenizer
    try:
        yield
    finally:
        blip_pretrain.init_tokenizer = own
