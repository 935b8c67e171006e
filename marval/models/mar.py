"""MAR: the masked auto-regressive transformer and its denoising head (arXiv 2406.11838; sizes in the paper's table).

    encoder  sees the buffer (all set to the class embedding) and the known tokens,
    decoder  sees the buffer and all positions, a mask token where unknown, and gives the condition z of every position,
    head     models p(token | z) by diffusion.

Shapes: B images, N positions, C token channels, D width, U known tokens (equal for all images of a batch).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from marval.models.head import DenoisingHead
from marval.models.settings import MARConfig
from marval.models.transformer import (
    NORM_EPS,
    Block,
    gather_positions,
    initialise_transformer,
    sorted_positions,
)

ENCODER = ("class_emb", "fake_latent", "z_proj", "encoder_")


class MAR(nn.Module):
    """Transformer and head. Attribute names are the checkpoint's, except `head`, which MAR calls `diffloss.net`."""

    def __init__(self, config: MARConfig) -> None:
        super().__init__()
        self.config = config
        width, length = config.width, config.tokens + config.buffer_tokens
        self.class_emb = nn.Embedding(config.classes, width)
        self.fake_latent = nn.Parameter(torch.zeros(1, width))
        self.z_proj = nn.Linear(config.channels, width)
        self.z_proj_ln = nn.LayerNorm(width, eps=NORM_EPS)
        self.encoder_pos_embed_learned = nn.Parameter(torch.zeros(1, length, width))
        self.encoder_blocks = nn.ModuleList(
            Block(width, config.heads, config.dropout) for _ in range(config.encoder_blocks)
        )
        self.encoder_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.decoder_embed = nn.Linear(width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_pos_embed_learned = nn.Parameter(torch.zeros(1, length, width))
        self.decoder_blocks = nn.ModuleList(
            Block(width, config.heads, config.dropout) for _ in range(config.decoder_blocks)
        )
        self.decoder_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.diffusion_pos_embed_learned = nn.Parameter(torch.zeros(1, config.tokens, width))
        self.apply(initialise_transformer)
        for parameter in self.parameters(recurse=False):  # positions, mask token, fake latent
            nn.init.normal_(parameter, std=0.02)
        nn.init.normal_(self.class_emb.weight, std=0.02)
        self.head = DenoisingHead(config.head, config.channels, width)

    def class_condition(self, labels: Tensor, dropped: Tensor | None = None) -> Tensor:
        """Class embedding `(B, D)` of labels `(B,)`; where `dropped` (bool `(B,)`) is true, the "fake latent" of no class."""
        embedding = self.class_emb(labels)
        return embedding if dropped is None else torch.where(dropped[:, None], self.fake_latent, embedding)

    def null_condition(self, batch: int) -> Tensor:
        """The condition of guidance's unconditional branch, `(B, D)`."""
        return self.fake_latent.expand(batch, -1)

    def encode(self, tokens_BNC: Tensor, known_BU: Tensor, condition_BD: Tensor) -> Tensor:
        """Encoder output `(B, buffer + U, D)` for the tokens at positions `known` (ascending)."""
        buffer = self.config.buffer_tokens
        position = self.encoder_pos_embed_learned
        known = self.z_proj(gather_positions(tokens_BNC, known_BU))
        known = known + gather_positions(position[:, buffer:].expand(len(tokens_BNC), -1, -1), known_BU)
        prefix = condition_BD[:, None, :] + position[:, :buffer]
        x = self.z_proj_ln(torch.cat([prefix, known], dim=1))
        for block in self.encoder_blocks:
            x = block(x)
        return self.encoder_norm(x)

    def decode(self, encoded: Tensor, known_BU: Tensor) -> Tensor:
        """Condition z of every position `(B, N, D)`, from the encoder's output."""
        buffer = self.config.buffer_tokens
        x = self.decoder_embed(encoded)
        hidden = self.mask_token.to(x.dtype).expand(len(x), self.config.tokens, -1)
        index = known_BU[..., None].expand(-1, -1, x.shape[-1])
        x = torch.cat([x[:, :buffer], hidden.scatter(1, index, x[:, buffer:])], dim=1)
        x = x + self.decoder_pos_embed_learned
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_norm(x)[:, buffer:] + self.diffusion_pos_embed_learned

    def forward(
        self, tokens_BNC: Tensor, masked_BN: Tensor, condition_BD: Tensor, masked_count: int
    ) -> Tensor:
        """z `(B, N, D)`; `masked` is true where a token is unknown, at `masked_count` positions of every image."""
        known = sorted_positions(masked_BN.logical_not(), self.config.tokens - masked_count)
        return self.decode(self.encode(tokens_BNC, known, condition_BD), known)

    def decode_masked(self, encoded: Tensor, order_BN: Tensor) -> Tensor:
        """z of the masked positions alone, `(B, M, D)`: these rows of `decode`, up to rounding, for less.

        `order`: the positions that were encoded, then the masked ones. The decoder sees the buffer and then all positions in this
        order, which attention does not mind, and its last block computes the masked ones only.
        """
        buffer, (batch, known) = self.config.buffer_tokens, encoded.shape[:2]
        masked = order_BN[:, known - buffer :]
        of_buffer, of_tokens = self.decoder_pos_embed_learned.expand(batch, -1, -1).tensor_split(
            [buffer], dim=1
        )
        x = self.decoder_embed(encoded)
        x = torch.cat([x, self.mask_token.to(x.dtype).expand(*masked.shape, -1)], dim=1)
        x = x + torch.cat([of_buffer, gather_positions(of_tokens, order_BN)], dim=1)
        *blocks, last = self.decoder_blocks
        for block in blocks:
            x = block(x)
        z = self.decoder_norm(last(x, known))
        return z + gather_positions(self.diffusion_pos_embed_learned.expand(batch, -1, -1), masked)

    def freeze_encoder(self) -> None:
        """Train no weight that `encode` and its conditions use."""
        for name, parameter in self.named_parameters():
            if name.startswith(ENCODER):
                parameter.requires_grad_(False)
