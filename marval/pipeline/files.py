"""Where the results of a preset lie: the names of files that stages write and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESULTS = Path("results")
REAL = "real"  # the name under which held-out real images are scored, as if they were samples
INPAINTED = "inpainted-"


def settings_path(preset: str) -> Path:
    """The resolved settings, which all other stages read."""
    return RESULTS / preset / "settings.json"


def inpainted(variant: str) -> str:
    """The name under which the images that a variant has in-painted are scored."""
    return INPAINTED + variant


@dataclass(frozen=True)
class Files:
    """Of one preset."""

    preset: str

    @property
    def root(self) -> Path:
        return RESULTS / self.preset

    @property
    def data(self) -> Path:
        """The folder of what `prepare` leaves."""
        return self.root / "data"

    @property
    def held_out(self) -> Path:
        """Held-out images, ADM's convention."""
        return self.data / "test.npz"

    @property
    def class_names(self) -> Path:
        return self.data / "classes.json"

    @property
    def tokenizer(self) -> Path:
        """Weights; the configuration lies beside, as with every model."""
        return self.root / "models/tokenizer.safetensors"

    @property
    def latents(self) -> Path:
        return self.root / "latents/train"

    @property
    def normaliser(self) -> Path:
        """Channel statistics of the latents."""
        return self.root / "latents/normaliser.json"

    @property
    def judges(self) -> Path:
        """The folder of the evaluation networks."""
        return self.root / "judges"

    def model(self, name: str, seed: int) -> Path:
        """Weights of a MAR model."""
        return self.root / "models" / name / f"seed-{seed}.safetensors"

    def auxiliary(self, name: str, seed: int) -> Path:
        """Weights of the auxiliary score network that distillation leaves."""
        return self.root / "models" / name / f"auxiliary-{seed}.safetensors"

    def snapshots(self, name: str, seed: int) -> Path:
        """The folder of a model's weights at a few moments of its training."""
        return self.root / "snapshots" / f"{name}-s{seed}"

    def curve(self, name: str, seed: int | None = None) -> Path:
        return self.root / "curves" / (f"{name}.csv" if seed is None else f"{name}-s{seed}.csv")

    def samples(self, variant: str) -> Path:
        return self.root / "samples" / f"{variant}.npz"

    def inpainted(self, variant: str) -> Path:
        return self.root / "inpainted" / f"{variant}.npz"

    def scored(self, name: str) -> Path:
        """The images that are scored under a name: a variant, what it has in-painted, or held-out real images."""
        if name == REAL:
            return self.held_out
        if name.startswith(INPAINTED):
            return self.inpainted(name.removeprefix(INPAINTED))
        return self.samples(name)
