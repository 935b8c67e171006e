"""What a distillation objective may compare, for T of the student's samples with C channels.

Each attribute is computed when it is first asked for, so that an objective pays for the networks that it needs and for no others.
"""

from typing import Protocol

from torch import Tensor


class Scores(Protocol):
    """The student's samples, its diffused samples x_t = alpha x0 + sigma noise, and what stands against them."""

    @property
    def x0(self) -> Tensor:
        """The student's samples `(T, C)`; gradients flow into the student through these and through x_t."""
        ...

    @property
    def noise(self) -> Tensor:
        """`(T, C)`, that made x_t from x0."""
        ...

    @property
    def weight(self) -> Tensor:
        """`(T, 1)`, lambda / sigma: turns differences of noise predictions into the units of the loss."""
        ...

    @property
    def auxiliary(self) -> Tensor:
        """Noise prediction `(T, C)` of the auxiliary network at x_t, for the student's own law."""
        ...

    @property
    def teacher(self) -> Tensor:
        """Noise prediction `(T, C)` of the guided teacher at x_t."""
        ...

    @property
    def chain(self) -> Tensor:
        """Where the guided teacher's deterministic chain ends that starts from the noise of the student's samples `(T, C)`."""
        ...

    @property
    def second(self) -> Tensor:
        """The student's samples of the same conditions from other noise `(T, C)`, with gradients."""
        ...

    @property
    def real(self) -> Tensor:
        """The tokens `(T, C)` of the real images that the conditions were taken from."""
        ...
