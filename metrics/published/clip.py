"""CLIP score at full scale: open_clip with OpenAI's weights from a local file.

Raw fp32 cosines are the scores; reports multiply by 100.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import torch
from PIL import Image
from torch import Tensor, nn

from metrics.judges.prompts import TEMPLATE
from metrics.published.base import TwoTowerScorer
from metrics.published.weights import opening, require, weights_sha256

SOURCE = "https://github.com/openai/CLIP (ViT-L-14.pt, ViT-B-32.pt) or the hub's timm/*_clip_*.openai"


class OpenClip(TwoTowerScorer):
    """Cosine between an image's and its class prompt's embedding, in fp32; `architecture` is open_clip's name of the model."""

    report_scale = 100.0
    architecture: ClassVar[str]

    def __init__(
        self,
        model: nn.Module,
        preprocess: Callable[[Image.Image], Tensor],
        class_names: list[str],
        template: str = TEMPLATE,
        sha256: str | None = None,
    ) -> None:
        super().__init__(model, class_names, template, f"{self.architecture}/openai", sha256)
        self._preprocess = preprocess

    @classmethod
    def open(cls, weights: str | Path, class_names: list[str], template: str = TEMPLATE) -> Self:
        """OpenAI's TorchScript archive, or a state dict that open_clip reads."""
        import open_clip

        weights = require(weights, f"the weights of {cls.architecture}", SOURCE)
        with opening(weights, SOURCE):
            if _is_torchscript(weights):
                model = open_clip.load_openai_model(str(weights), precision="fp32", device="cpu")
            else:
                model = open_clip.create_model(cls.architecture, pretrained=str(weights), precision="fp32")
        preprocess = open_clip.image_transform(
            model.visual.image_size,
            is_train=False,
            mean=open_clip.OPENAI_DATASET_MEAN,
            std=open_clip.OPENAI_DATASET_STD,
        )
        return cls(model, preprocess, class_names, template, weights_sha256(weights))

    def _scores(self, pictures: list[Image.Image], labels: Tensor) -> Tensor:
        pixels = torch.stack([self._preprocess(picture) for picture in pictures])
        embedded = self._model.encode_image(pixels.to(self.device), normalize=True)
        return (embedded * self.prompt_embeddings()[labels]).sum(-1)

    def _embed_prompts(self, prompts: list[str]) -> Tensor:
        import open_clip

        return self._model.encode_text(open_clip.tokenize(prompts).to(self.device), normalize=True)


# The two models' scores are different quantities. OpenAI trained with QuickGELU; plain GELU shifts scores.


class ClipL(OpenClip):
    """ViT-L/14, as the paper's."""

    weights = "clip-l"
    architecture = "ViT-L-14-quickgelu"


class ClipB(OpenClip):
    """ViT-B/32."""

    weights = "clip-b"
    architecture = "ViT-B-32-quickgelu"


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())
