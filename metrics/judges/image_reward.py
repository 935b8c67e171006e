"""Miniature ImageReward: the image-reward package's own BLIP parts at a small size, trained with its ranking
loss.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.judges.augmentation import jittered
from metrics.judges.base import Judge, unit_float
from metrics.judges.preferences import worse_images
from metrics.judges.prompts import tokenise
from metrics.judges.settings import ImageRewardConfig


class ImageReward(Judge):
    """Image tokens enter the prompt's encoder by cross-attention; its first token goes through an MLP to one
    reward.

    The reward is standardised as (r - mean) / std with `constants` measured on real images, as the official
    network does with 0.16717 and 1.03334.
    """

    kind = "image_reward"
    quantity = "held-out ranking accuracy"
    config: ImageRewardConfig
    ids: Tensor
    mask: Tensor

    def __init__(self, config: ImageRewardConfig, class_names: list[str], template: str) -> None:
        from ImageReward.ImageReward import MLP
        from ImageReward.models.BLIP.med import BertConfig, BertModel
        from ImageReward.models.BLIP.vit import VisionTransformer

        super().__init__(config, class_names, template)
        self.constants = {"mean": 0.0, "std": 1.0}
        prompts = tokenise(template, class_names)
        self.register_buffer("ids", prompts.ids, persistent=False)
        self.register_buffer("mask", prompts.mask, persistent=False)
        heads = config.width // 16
        self.visual_encoder = VisionTransformer(
            img_size=config.image_size,
            patch_size=config.patch,
            embed_dim=config.width,
            depth=config.vision_layers,
            num_heads=heads,
        )
        text = BertConfig(
            vocab_size=prompts.vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.text_layers,
            num_attention_heads=heads,
            intermediate_size=4 * config.width,
            max_position_embeddings=prompts.ids.shape[1],
            # dropout draws from the global generator; a resumed training must be equal to the bit
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            add_cross_attention=True,
            pad_token_id=0,
        )
        text.encoder_width = config.width
        self.text_encoder = BertModel(config=text, add_pooling_layer=False)
        self.mlp = MLP(config.width)
        for layer in self.modules():  # the parts start from normal(0, 0.02), for widths of 768 and more
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)

    def train(self, mode: bool = True) -> "ImageReward":
        """The MLP stays in evaluation mode: its dropout would draw from the global generator."""
        super().train(mode)
        self.mlp.eval()
        return self

    def reward(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) reward before standardisation."""
        tokens = self.visual_encoder(self.normalise(images))
        encoded = self.text_encoder(
            self.ids[labels],
            attention_mask=self.mask[labels],
            encoder_hidden_states=tokens,
            encoder_attention_mask=torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device),
            return_dict=True,
        )
        return self.mlp(encoded.last_hidden_state[:, 0])[:, 0]

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) standardised reward; differentiable with respect to the images."""
        return (self.reward(images, labels) - self.constants["mean"]) / self.constants["std"]

    def are_right(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) bool: where it prefers the image to a worse one."""
        better = unit_float(images)
        worse = worse_images(better, labels, generator)
        return self.score(better, labels) > self.score(worse, labels)

    def training_loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) ranking loss -log sigmoid(r_better - r_worse), plus `centring` times the mean squared reward.

        The ranking leaves every prompt's offset free, and then scores of different prompts do not compare;
        the squared reward holds the offsets near zero.
        """
        better = jittered(unit_float(images), self.config.jitter, generator)
        worse = worse_images(better, labels, generator)
        better_reward, worse_reward = self.reward(torch.cat([better, worse]), labels.repeat(2)).chunk(2)
        centring = (better_reward.square() + worse_reward.square()) / 2
        return F.softplus(worse_reward - better_reward) + self.config.centring * centring

    @torch.no_grad()
    def calibrate(self, images: Tensor, labels: Tensor) -> None:
        """Set the constants so that real images have mean 0 and standard deviation 1."""
        rewards = torch.cat(
            [self.reward(*part) for part in zip(images.split(256), labels.split(256), strict=True)]
        )
        self.constants = {"mean": rewards.mean().item(), "std": max(rewards.std().item(), 1e-6)}
