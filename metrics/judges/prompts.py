"""Prompts of the classes as token ids in a compact vocabulary.

open_clip's byte-pair vocabulary has 49,408 entries; ten prompts use about a dozen of them. The ids in use are
renumbered 0, 1, 2, ... in their own order, so that id 0 still pads and the end-of-text token still has the
largest id (CLIP's text tower pools there, by argmax).
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from metrics.errors import UserError

TEMPLATE = "a high-quality and harmonious picture of {}"  # the paper's RL prompt
PLACE = re.compile(r"\{(?:name)?\}")


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
    """The template with {} for the entity name, which may be written {name}; UserError unless there is exactly one."""
    if len(PLACE.findall(template)) != 1:
        raise UserError(f"template {template!r} needs exactly one {{}} where the entity name goes")
    return PLACE.sub("{}", template)


def class_prompts(template: str, class_names: list[str]) -> list[str]:
    """One prompt for each class, by class index."""
    before, after = check_template(template).split("{}")
    return [f"{before}{name}{after}" for name in class_names]


def prompt_protocol(template: str, class_names: list[str]) -> dict[str, Any]:
    """What scores for prompts depend on besides the weights."""
    names = json.dumps(class_names, ensure_ascii=False).encode()
    return {"template": check_template(template), "class_names_sha256": sha256(names).hexdigest()}


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
