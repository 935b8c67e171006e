"""What every miniature judge has in common: configuration, prompts, files, hashes.

Shapes: B images, C = 3 channels, H = W pixels, K classes, L prompt tokens.
Images are uint8 in [0, 255] or floating point in [0, 1], layout BCHW; labels are int64 (B,) in [0, K).
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metrics.errors import UserError, reason
from metrics.files import replacing
from metrics.judges.prompts import check_template, prompt_protocol
from metrics.judges.registry import miniature
from metrics.judges.settings import JudgeConfig
from metrics.precision import judging


class Judge(nn.Module):
    """A network that judges images.

    Subclasses set `kind`, their name in the registry, and give `score` or `features`; those that are trained give
    `training_loss`, `quantity` and `are_right` too.
    """

    kind: ClassVar[str]
    quantity: str  # the share of held-out images that `are_right`, in words
    report_scale: ClassVar[float] = 1.0  # what a score is multiplied by in reports
    sha256: str | None = None  # of the weights file; known once saved or loaded

    def __init__(self, config: JudgeConfig, class_names: list[str], template: str) -> None:
        """`template`: of the classes' prompts, for the judges that read them."""
        super().__init__()
        self.config = config
        self.class_names = list(class_names)
        self.template = check_template(template)
        self.constants: dict[str, float] = {}

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def metric(self) -> str:
        """Name of the metric that its scores are; empty for a judge that has none."""
        return miniature(self.kind).metric

    @property
    def device(self) -> torch.device:
        """Where the weights are; images are moved there."""
        return next(self.parameters()).device

    def are_right(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) bool: where it is right about real images that it was not trained on."""
        raise NotImplementedError

    def training_loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) loss of each sample; every random number comes from the CPU `generator`."""
        raise NotImplementedError

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) how well each image shows its class's prompt; differentiable with respect to the images."""
        raise NotImplementedError

    @property
    def protocol(self) -> dict[str, Any]:
        """What the scores depend on besides the weights."""
        return prompt_protocol(self.template, self.class_names)

    @judging()
    def score_images(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int = 256
    ) -> NDArray[np.float32]:
        """(N,) raw fp32 scores, from (N, H, W, 3) uint8 images and (N,) labels."""
        parts = [
            self.score(
                to_bchw(images[i : i + batch]), torch.from_numpy(labels[i : i + batch]).to(self.device)
            )
            for i in range(0, len(images), batch)
        ]
        return torch.cat(parts).float().cpu().numpy()

    def calibrate(self, images: Tensor, labels: Tensor) -> None:
        """Measure constants on real images after training. Most judges need none."""

    def normalise(self, images: Tensor) -> Tensor:
        """Images (uint8 or float in [0, 1]) as float32 in [-1, 1], checked for shape."""
        size = self.config.image_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise UserError(
                f"judge {self.name} takes images of shape (B, 3, {size}, {size}), got {tuple(images.shape)}: "
                "resize them or use the judge that was trained at their size"
            )
        return unit_float(images.to(self.device)) * 2 - 1

    @property
    def description(self) -> dict[str, Any]:
        """What PATH.json says of it."""
        return {
            "kind": self.kind,
            "config": self.config.model_dump(),
            "class_names": self.class_names,
            "template": self.template,
            "constants": self.constants,
            "sha256": self.sha256,
        }

    def save(self, path: str | Path) -> None:
        """Write PATH.safetensors and PATH.json; each appears complete or not at all."""
        from safetensors.torch import save

        stem = Path(path)
        weights = save({name: tensor.contiguous() for name, tensor in self.state_dict().items()})
        self.sha256 = sha256(weights).hexdigest()
        with replacing(with_suffix(stem, ".safetensors")) as partial:
            partial.write_bytes(weights)
        with replacing(with_suffix(stem, ".json")) as partial:
            partial.write_text(json.dumps(self.description, indent=2) + "\n")

    def read_weights(self, path: Path, description: dict[str, Any]) -> None:
        """Load PATH.safetensors strictly, and check that it is the file that PATH.json was written with."""
        from safetensors.torch import load

        file = with_suffix(path, ".safetensors")
        if not file.is_file():
            raise UserError(
                f"{file}: no such file: the judge's weights belong beside its .json; train it again"
            )
        weights = file.read_bytes()
        self.sha256 = sha256(weights).hexdigest()
        if self.sha256 != description.get("sha256"):
            raise UserError(
                f"{file}: its sha256 is not the one in the .json: the two files do not belong together"
            )
        try:
            self.load_state_dict(load(weights), strict=True)
            self.constants = {str(name): float(value) for name, value in description["constants"].items()}
        except (
            Exception
        ) as error:  # of any kind, where the two files belong together and are of another judge
            raise UserError(f"{file}: not this judge's weights ({reason(error)}): train it again") from error


def unit_float(images: Tensor) -> Tensor:
    """uint8 images in [0, 255] as float32 in [0, 1]; floating-point images pass unchanged."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def to_bchw(images: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 array as an (N, 3, H, W) uint8 tensor."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def with_suffix(stem: Path, suffix: str) -> Path:
    """STEM + suffix; unlike Path.with_suffix it keeps dots in the name (`model-w1.2`)."""
    return stem.with_name(stem.name + suffix)
