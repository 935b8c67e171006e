"""Prompts of the classes as token ids in a compact vocabulary.

open_clip's byte-pair vocabulary has 49,408 entries; ten prompts use about a dozen of them. The ids in use are
renumbered 0, 1, 2, ... in their own order, so that id 0 still pads and the end-of-text token still has the
largest id (CLIP's text tower pools there, by argmax).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metrics.errors import UserError

TEMPLATE = "a high-quality and harmonious picture of {}"  # the paper's RL prompt


@dataclass(frozen=True)
class Prompts:
    """Token ids (K, L) and attention mask (K, L; 1: token, 0: padding), int64; the vocabulary's size."""

    ids: Tensor
    mask: Tensor
    vocabulary: int

    @property
    def end_id(self) -> int:
        """The end-of-text token, the largest id."""
        return self.vocabulary - 1


def check_template(template: str) -> str:
    """The template itself; it must have exactly one {} for the entity name."""
    if template.count("{}") != 1:
        raise ValueError(f"template {template!r} needs exactly one {{}} where the entity name goes")
    return template


def class_prompts(template: str, class_names: list[str]) -> list[str]:
    """One prompt for each class, by class index."""
    return [template.format(name) for name in class_names]


def tokenise(template: str, class_names: list[str]) -> Prompts:
    """Tokenise every class's prompt with open_clip's bundled tokenizer, renumbered to the ids in use."""
    from open_clip import tokenizer

    if len(set(class_names)) < 2:
        raise UserError(
            f"{len(set(class_names))} different class names: judges with prompts need at least two"
        )
    ids = tokenizer.tokenize(class_prompts(template, class_names))  # (K, 77), padded with 0
    used, compact = torch.unique(
        torch.cat([torch.zeros(1, dtype=torch.int64), ids.flatten()]), return_inverse=True
    )
    compact = compact[1:].reshape(ids.shape)
    lengths = compact.argmax(1) + 1
    positions = torch.arange(int(lengths.max()))
    mask = (positions[None] < lengths[:, None]).long()
    return Prompts(compact[:, : len(positions)].clone(), mask, len(used))
