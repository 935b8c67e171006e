"""CLIP score at full scale: open_clip with OpenAI's weights from a local file.

Raw fp32 cosines are the scores; reports multiply by 100.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from metrics.errors import UserError
from metrics.judges.prompts import TEMPLATE
from metrics.published.base import TwoTowerScorer
from metrics.published.weights import require, weights_sha256

# OpenAI trained with QuickGELU; plain GELU shifts scores
VIT_L, VIT_B = "ViT-L-14-quickgelu", "ViT-B-32-quickgelu"
MODELS = (VIT_L, VIT_B)
SOURCE = "https://github.com/openai/CLIP (ViT-L-14.pt, ViT-B-32.pt) or the hub's timm/*_clip_*.openai"


class OpenClip(TwoTowerScorer):
    """Cosine between an image's and its class prompt's embedding, in fp32.

    The two models' scores are different quantities: `clip_score` is ViT-L/14's, as the paper's; ViT-B/32's has a name of its own.
    """

    report_scale = 100.0

    def __init__(
        self,
        model: nn.Module,
        preprocess: Callable[[Image.Image], Tensor],
        class_names: list[str],
        template: str = TEMPLATE,
        name: str = "clip",
        sha256: str | None = None,
        metric: str = "clip_score",
    ) -> None:
        super().__init__(model, class_names, template, name, sha256)
        self.metric = metric
        self._preprocess = preprocess

    @classmethod
    def from_file(
        cls, model_name: str, weights: str | Path, class_names: list[str], template: str = TEMPLATE
    ) -> "OpenClip":
        """model_name of MODELS; weights: OpenAI's TorchScript archive, or a state dict that open_clip reads."""
        import open_clip

        if model_name not in MODELS:
            raise UserError(f"CLIP model {model_name!r}: use one of {', '.join(MODELS)}")
        weights = require(weights, f"the weights of {model_name}", SOURCE)
        if _is_torchscript(weights):
            model = open_clip.load_openai_model(str(weights), precision="fp32", device="cpu")
        else:
            model = open_clip.create_model(model_name, pretrained=str(weights), precision="fp32")
        preprocess = open_clip.image_transform(
            model.visual.image_size,
            is_train=False,
            mean=open_clip.OPENAI_DATASET_MEAN,
            std=open_clip.OPENAI_DATASET_STD,
        )
        metric = "clip_score" if model_name == VIT_L else "clip_score_b32"
        sha256 = weights_sha256(weights)
        return cls(model, preprocess, class_names, template, f"{model_name}/openai", sha256, metric)

    def _scores(self, pictures: list[Image.Image], labels: Tensor) -> Tensor:
        pixels = torch.stack([self._preprocess(picture) for picture in pictures])
        embedded = self._model.encode_image(pixels.to(self.device), normalize=True)
        return (embedded * self.prompt_embeddings()[labels]).sum(-1)

    def _embed_prompts(self, prompts: list[str]) -> Tensor:
        import open_clip

        return self._model.encode_text(open_clip.tokenize(prompts).to(self.device), normalize=True)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())
