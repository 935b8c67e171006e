"""Settings of trainings that take a moment, and how they are run; for the tests of the methods."""

from marval.masking.law import MaskingLaw
from marval.methods.settings import DistillTraining
from marval.models.settings import TokenizerConfig
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.settings import OptimiserConfig

ONE_STEP_T = 900
TOKENIZER = TokenizerConfig(
    image_channels=1, latent_channels=2, channels=[4, 8, 8], layers_per_block=1, norm_groups=4
)


class Brightness:
    """A reward that needs no network and whose best image is known: all white."""

    def score(self, images, labels):
        return images.mean(dim=(1, 2, 3))


def distill_training(**changes) -> DistillTraining:
    settings = {
        "masking": MaskingLaw(),
        "student": OptimiserConfig(lr=1e-3, betas=(0.0, 0.99), clip=1.0),
        "auxiliary": OptimiserConfig(lr=1e-3, betas=(0.0, 0.99), clip=1.0),
        "steps": 5, "batch": 16, "ema": 0.9, "t_low": 20, "t_high": 980, "weight_limit": 3.0,
    }  # fmt: skip
    return DistillTraining(**{**settings, **changes})


def run(method, steps, tmp_path):
    return fit(
        method, steps, seed=0, store=CheckpointStore(tmp_path), label="test", log_every=max(1, steps // 5)
    )
