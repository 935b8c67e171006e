"""CLIP score at full scale: open_clip with OpenAI's weights from a local file.

Raw fp32 cosines are the scores; reports multiply by 100.
"""

import zipfile
from collections.abc import Callable
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

MODELS = (
    "ViT-L-14-quickgelu",
    "ViT-B-32-quickgelu",
)  # OpenAI trained with QuickGELU; plain GELU shifts scores
SOURCE = "https://github.com/openai/CLIP (ViT-L-14.pt, ViT-B-32.pt) or the hub's timm/*_clip_*.openai"


class OpenClip:
    """Cosine between an image's and its class prompt's embedding, in fp32. Class names are keyed by index."""

    metric = "clip_score"
    role = "unseen judge"
    report_scale = 100.0

    def __init__(
        self,
        model: nn.Module,
        preprocess: Callable[[Image.Image], Tensor],
        class_names: list[str],
        template: str = TEMPLATE,
        name: str = "clip",
        sha256: str | None = None,
    ) -> None:
        self.name = name
        self.sha256 = sha256
        self.protocol: dict[str, Any] = {"template": template, "class_names_sha256": text_sha256(class_names)}
        self._model: Any = model.eval().float()
        self._preprocess = preprocess
        self._prompts = class_prompts(template, class_names)
        self._text: Tensor | None = None

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
        name = f"{model_name}/openai"
        return cls(model, preprocess, class_names, template, name, file_sha256(weights))

    def to(self, device: str | torch.device) -> "OpenClip":
        """Move to a device."""
        self._model.to(device)
        self._text = None
        return self

    @torch.no_grad()
    def score_images(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int = 64
    ) -> NDArray[np.float32]:
        """(N,) cosines of (N, H, W, 3) uint8 images with their classes' prompts."""
        text = self._text_embeddings()
        scores = []
        for start in range(0, len(images), batch):
            pixels = torch.stack(
                [self._preprocess(Image.fromarray(x)) for x in images[start : start + batch]]
            )
            embedded = self._model.encode_image(pixels.to(text.device), normalize=True)
            scores.append((embedded * text[torch.from_numpy(labels[start : start + batch])]).sum(-1).cpu())
        return torch.cat(scores).numpy()

    def _text_embeddings(self) -> Tensor:
        """(K, D) unit vectors, computed once."""
        if self._text is None:
            import open_clip

            device = next(self._model.parameters()).device
            tokens = open_clip.tokenize(self._prompts).to(device)
            self._text = torch.cat([self._model.encode_text(t, normalize=True) for t in tokens.split(256)])
        return self._text


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())
