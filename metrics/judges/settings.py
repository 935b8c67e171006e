"""Settings of the miniature judges, free of the networks: a preset is checked without loading them."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class JudgeConfig(BaseModel):
    """What every judge of small images needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, description="name in result files")
    image_size: int = Field(default=32, ge=16, le=256, multiple_of=8, description="pixels, H = W")
    seed: int = Field(default=0, ge=0, lt=2**31, description="initial weights and order of the training data")


class TrainedConfig(JudgeConfig):
    """How a judge is trained. A judge with sizes of its own adds them."""

    steps: int = Field(default=300, ge=1, le=100_000)
    batch: int = Field(default=64, ge=2, le=4096)
    lr: float = Field(default=1e-3, gt=0, le=0.1)
    jitter: float = Field(default=1.0, ge=0, le=2, description="strength of the random changes in training")
    half: Literal[0, 1] | None = Field(
        default=1, description="half of the training images that it is trained on; null: all"
    )


class CnnConfig(TrainedConfig):
    name: str = "digits-cnn"
    width: int = Field(default=16, ge=4, le=256, description="channels after the first convolution")
    features: int = Field(default=32, ge=2, le=2048, description="penultimate features")
    steps: int = Field(default=300, ge=1, le=100_000)
    lr: float = Field(default=2e-3, gt=0, le=0.1)
    seed: int = Field(default=101, ge=0, lt=2**31)
    half: Literal[0, 1] = Field(
        default=1,
        description="half of the training images that it is trained on; the other half is the reference, because a "
        "network's features of its own training images vary less within a class than those of new images",
    )


class EfficientNetConfig(JudgeConfig):
    name: str = "efficientnet-lite0"
    enlarged: int = Field(
        default=64,
        ge=32,
        le=224,
        description="pixels that the network sees. 32, 40 and 48 rank damages of 32-pixel digits alike, in half the time",
    )
    projected: int = Field(
        default=32,
        ge=2,
        le=1280,
        description="numbers that the 1,280 features are projected to: 32, 64 and 128 rank damaged digits in their order on "
        "every half of 1,250 images, 16 do not always; for 32, 66 images of a class suffice",
    )
    seed: int = Field(default=505, ge=0, lt=2**31, description="of the projection")


class PatchedConfig(TrainedConfig):
    """What every judge with a vision transformer needs."""

    patch: int = Field(default=8, ge=2, le=32, description="side of what becomes one token, pixels")

    @model_validator(mode="after")
    def _patches_fill_the_image(self) -> Self:
        if self.image_size % self.patch:
            raise ValueError(f"image_size {self.image_size} is not divisible by patch {self.patch}")
        return self


class ClipConfig(PatchedConfig):
    name: str = "digits-clip"
    width: int = Field(default=64, ge=16, le=1024, multiple_of=16)
    vision_layers: int = Field(default=2, ge=1, le=24)
    text_layers: int = Field(default=1, ge=1, le=24)
    embedding: int = Field(default=32, ge=4, le=1024)
    steps: int = Field(default=500, ge=1, le=100_000)
    seed: int = Field(default=202, ge=0, lt=2**31)


class ImageRewardConfig(PatchedConfig):
    name: str = "digits-image-reward"
    width: int = Field(default=48, ge=16, le=1024, multiple_of=16)
    vision_layers: int = Field(default=2, ge=1, le=24)
    text_layers: int = Field(default=1, ge=1, le=24)
    steps: int = Field(default=400, ge=1, le=100_000)
    centring: float = Field(default=0.01, ge=0, le=1, description="weight of the squared reward")
    seed: int = Field(default=303, ge=0, lt=2**31)


class PickScoreConfig(PatchedConfig):
    name: str = "digits-pick-score"
    width: int = Field(default=48, ge=16, le=1024, multiple_of=16)
    vision_layers: int = Field(default=2, ge=1, le=24)
    text_layers: int = Field(default=1, ge=1, le=24)
    embedding: int = Field(default=24, ge=4, le=1024)
    scale: float = Field(
        default=10.0, gt=0, le=100, description="logit scale, fixed: it bounds the score and its slope"
    )
    smoothing: float = Field(
        default=0.05, ge=0, lt=0.5, description="share of the preference given to the worse image"
    )
    seed: int = Field(default=404, ge=0, lt=2**31)
    half: Literal[0, 1] | None = 0
