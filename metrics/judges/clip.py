"""Miniature CLIP: open_clip's own two-tower network at a small size, trained on image and prompt pairs."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.judges.augmentation import jittered
from metrics.judges.base import Judge, unit_float
from metrics.judges.prompts import tokenise
from metrics.judges.settings import ClipConfig


class Clip(Judge):
    """Cosine between an image's and its class prompt's embedding."""

    kind = "clip"
    report_scale = 100.0
    config: ClipConfig
    ids: Tensor

    def __init__(self, config: ClipConfig, class_names: list[str], template: str) -> None:
        from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

        super().__init__(config, class_names, template)
        self.quantity = f"held-out retrieval accuracy, {len(class_names)} prompts"
        prompts = tokenise(template, class_names)
        self.register_buffer("ids", prompts.ids, persistent=False)
        vision = CLIPVisionCfg(
            layers=config.vision_layers,
            width=config.width,
            head_width=16,
            patch_size=config.patch,
            image_size=config.image_size,
        )
        text = CLIPTextCfg(
            context_length=prompts.ids.shape[1],
            vocab_size=prompts.vocabulary,
            width=config.width,
            heads=config.width // 16,
            layers=config.text_layers,
        )
        self.towers = CLIP(config.embedding, vision, text)

    def embed_images(self, images: Tensor) -> Tensor:
        """(B, embedding) unit vectors."""
        return self.towers.encode_image(self.normalise(images), normalize=True)

    def embed_prompts(self) -> Tensor:
        """(K, embedding) unit vectors, by class index."""
        return self.towers.encode_text(self.ids, normalize=True)

    def similarities(self, images: Tensor) -> Tensor:
        """(B, K) cosine with every class's prompt."""
        return self.embed_images(images) @ self.embed_prompts().T

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) cosine with the asked class's prompt, in [-1, 1]; differentiable in the images."""
        return self.similarities(images).gather(1, labels[:, None])[:, 0]

    def are_right(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) bool: where the asked prompt is the nearest of all."""
        return self.similarities(images).argmax(1) == labels

    def training_loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) symmetric contrastive loss.

        An image chooses among all K prompts; its prompt chooses among the batch's images, where every image
        of the class counts as right (a batch has more images than classes, so pairs are not unique).
        """
        scale = self.towers.logit_scale.clamp(max=math.log(100)).exp()
        seen = jittered(unit_float(images), self.config.jitter, generator)
        logits = scale * self.similarities(seen)  # (B, K)
        image_to_text = F.cross_entropy(logits, labels, reduction="none")
        columns = logits.T[labels]  # (B, B): row i holds prompt i's logits of all images
        right = torch.where(labels[:, None] == labels[None], columns, -torch.inf)
        text_to_image = columns.logsumexp(1) - right.logsumexp(1)
        return (image_to_text + text_to_image) / 2
