"""What the stages of a preset need: operations, memory of a GPU, disk. Counted from the networks and the settings; nothing runs.

Left out, because it is small beside the rest: looks at samples during training, the training of miniature judges, figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from marval.costs.counting import numbers
from marval.costs.graphs import graphs_bytes
from marval.costs.image import Sampling, optimised, reference
from marval.costs.image import decoding as decoding_work
from marval.costs.inference import decoding, encoding, judging
from marval.costs.judges import PICK_SCORE, Vision
from marval.costs.reinforcement import Sizes, reinforce_step
from marval.costs.training import StepCost, distill_step, teacher_step, tokenizer_step
from marval.data.images import TRAIN, count_training
from marval.masking.inpainting import Mask
from marval.models.mar import MAR
from marval.models.tokenizer import build_autoencoder
from marval.pipeline.files import INPAINTED, REAL
from marval.pipeline.graph import Stage
from marval.pipeline.preset import Preset
from marval.pipeline.resources import resources_of
from marval.timing.settings import LatencyConfig
from marval.weights import wanted

FLOAT_BYTES = 4
ROW_BYTES = 17  # of a row of latents beside its moments: label, image, whether it is mirrored
JUDGE_BATCH = 64
C = TypeVar("C")


@dataclass(frozen=True)
class Needs:
    """Of one stage."""

    flops: float = 0.0
    gpu_bytes: float = 0.0  # of each of its GPUs
    disk_bytes: float = 0.0  # of what it leaves
    passing_bytes: float = 0.0  # of checkpoints, while it runs
    float32_flops: float = 0.0  # in full precision, beside `flops`: judges


def weights_bytes(names: Iterable[str]) -> float:
    """Size of published files, exact or about."""
    return sum(item.file.bytes or _about(str(item.file.about)) for item in wanted(names))


def _about(size: str) -> float:
    number, unit = size.split()
    return float(number) * {"GB": 1e9, "MB": 1e6, "KB": 1e3, "bytes": 1}[unit]


@dataclass(frozen=True)
class TrainingImages:
    """How many there are, and how that is known."""

    count: int
    source: str
    are_copied: bool  # into results/, where the others stay where they are


def training_images(preset: Preset) -> TrainingImages:
    """0 where it cannot be known before `prepare` has run."""
    source, path = preset.prepare, Path("results") / preset.name / "data" / TRAIN
    if path.is_file():
        return TrainingImages(count_training(path), f"in {path}", source.copies_images)
    counts = source.counts(preset.teacher.model.classes)
    return TrainingImages(counts.train or 0, counts.basis, source.copies_images)


def held_out_images(preset: Preset) -> int:
    """Real images that are scored like samples."""
    return preset.prepare.counts(preset.teacher.model.classes).held_out


class LatencyEstimator:
    """Needs of the stages of a preset that only times: operations, at most; a spent budget ends the rounds earlier."""

    def __init__(self, config: LatencyConfig) -> None:
        self.config, self.scale = config, config.gpu

    def of(self, stage: Stage) -> Needs:
        """What one stage needs."""
        if stage.kind != "latency":
            return Needs()
        rounds = self.scale.repetitions + 1
        tokenizer = {
            side: decoding_work(self.config.tokenizer, side)
            for side in {model.side for model in self.scale.models.values()}
        }
        flops = 0.0
        for regime in self.scale.regimes:
            for name in regime.models:
                model = self.scale.models[name]
                for variant in self.config.variants.values():
                    way = Sampling.of(variant, regime.ar_steps)
                    for mode in self.config.modes:
                        works = (reference if mode == "eager" else optimised)(model, way).values()
                        image = sum(work.flops for work in works) + tokenizer[model.side].flops
                        flops += image * rounds * sum(regime.batches)
        return Needs(flops)


class Estimator:
    """Needs of the stages of one preset; what is equal is counted once."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.images = training_images(preset)
        self._known: dict[str, object] = {}
        with torch.device("meta"):
            self.model_bytes = FLOAT_BYTES * numbers(MAR(preset.teacher.model))
            self.tokenizer_bytes = FLOAT_BYTES * numbers(build_autoencoder(preset.tokenizer.model))
        self.size = preset.teacher.model.side * preset.tokenizer.model.pixels  # pixels

    def of(self, stage: Stage) -> Needs:
        """What one stage needs, by the method of its name; nothing that counts for stages that only handle small files."""
        estimate: Callable[[Stage], Needs] | None = getattr(self, f"_{stage.kind}", None)
        return Needs() if estimate is None else estimate(stage)

    def gpus(self, stage: str) -> int:
        """How many processes share the stage's work."""
        return resources_of(self.preset.resources, stage).gpus or 1

    def _once(self, key: str, count: Callable[[], C]) -> C:
        if key not in self._known:
            self._known[key] = count()
        return self._known[key]  # type: ignore[return-value]

    def _prepare(self, stage: Stage) -> Needs:
        pixels = 3 * self.size**2
        kept = self.images.count if self.images.are_copied else 0
        return Needs(disk_bytes=pixels * (kept + held_out_images(self.preset)))

    def _official(self, stage: Stage) -> Needs:
        size = self.tokenizer_bytes if stage.item["variant"] == "tokenizer" else self.model_bytes
        return Needs(disk_bytes=size)

    def _tokenizer(self, stage: Stage) -> Needs:
        config = self.preset.trained_tokenizer
        return self._trained(tokenizer_step(config, self.size), config.steps, self.tokenizer_bytes)

    def _teacher(self, stage: Stage) -> Needs:
        config = self.preset.teacher
        step = self._once("teacher", lambda: teacher_step(config, self.gpus("teacher")))
        return self._trained(step, config.steps, self.model_bytes)

    def _distill(self, stage: Stage) -> Needs:
        section, model, processes = self.preset.distill, self.preset.teacher.model, self.gpus("distill")
        variant = section.variants[stage.item["variant"]].model_copy(update={"guidance": 1.0, "seeds": None})
        step = self._once(
            f"distill {variant}", lambda: distill_step(section.training, variant, model, processes)
        )
        with torch.device("meta"):
            network = MAR(model)
        auxiliary = FLOAT_BYTES * numbers(network.head if variant.auxiliary == "head" else network)
        return self._trained(step, section.training.steps, self.model_bytes + auxiliary)

    def _reinforce(self, stage: Stage) -> Needs:
        section, processes = self.preset.reinforce, self.gpus("reinforce")
        variant = section.variants[stage.item["variant"]]
        sizes = Sizes(self.preset.teacher.model, self.preset.tokenizer.model, self._reward())
        step = self._once("reinforce", lambda: reinforce_step(section.training, variant, sizes, processes))
        return self._trained(step, variant.steps, self.model_bytes)

    def _reward(self) -> Vision:
        judges = self.preset.judges
        if judges.kind == "published":
            return PICK_SCORE
        size = getattr(judges, self.preset.reinforce.training.reward)
        return Vision(size.width, size.vision_layers, size.patch, size.image_size)

    @staticmethod
    def _trained(step: StepCost, steps: int, disk_bytes: float) -> Needs:
        return Needs(step.flops * steps, step.peak_bytes, disk_bytes, step.checkpoint_bytes)

    def _encode(self, stage: Stage) -> Needs:
        config, model = self.preset.encode, self.preset.tokenizer.model
        once = encoding(model, self.size, config.batch)
        views = self.images.count * (2 if config.mirror else 1)
        row = FLOAT_BYTES * 2 * model.token_channels * self.preset.teacher.model.tokens + ROW_BYTES
        return Needs(once.flops * views, once.peak_bytes, row * views)

    def _sample(self, stage: Stage) -> Needs:
        variant, config = self.preset.variants[stage.item["variant"]], self.preset.sample
        way = Sampling.of(variant, variant.ar_steps)
        model, tokenizer = self.preset.teacher.model, self.preset.tokenizer.model
        works = self._once(f"sample {way}", lambda: optimised(model, way))
        last = self._once("decode", lambda: decoding(tokenizer, model.tokens, config.batch))
        images = self._images_of(stage.item["variant"]) * variant.best_of
        pixels = 3 * self.size**2 * images
        flops = (sum(work.flops for work in works.values()) + last.flops) * images
        peak = self._sampler_bytes(way, config.batch) + last.peak_bytes
        return Needs(flops, peak, pixels, pixels)

    def _sampler_bytes(self, way: Sampling, batch: int) -> float:
        """The model, the optimised sampler's own copy of its weights, and graphs."""
        low = self.preset.sample.precision == "bf16"
        graphs = graphs_bytes(self.preset.teacher.model, way, batch, torch.bfloat16 if low else torch.float32)
        return (1.5 if low else 2.0) * self.model_bytes + graphs

    def _inpaint(self, stage: Stage) -> Needs:
        """As whole images by the sampler that is written to be read, which fills in a part of each: an upper bound."""
        variant, images = self.preset.variants[stage.item["variant"]], self._inpainted_images()
        way = Sampling.of(variant, variant.ar_steps)
        works = self._once(f"inpaint {way}", lambda: reference(self.preset.teacher.model, way))
        pixels = 3 * self.size**2 * images
        return Needs(sum(work.flops for work in works.values()) * images, self.model_bytes, pixels, pixels)

    def _inpainted_images(self) -> int:
        return len(Mask) * self.preset.inpaint.draws * held_out_images(self.preset)

    def _evaluate(self, stage: Stage) -> Needs:
        if self.preset.judges.kind != "published":
            return Needs()
        once = self._once("judge", lambda: judging(self.size, JUDGE_BATCH))
        flops = once.flops * self._images_of(stage.item["variant"])
        return Needs(gpu_bytes=once.peak_bytes, float32_flops=flops)

    def _images_of(self, variant: str) -> int:
        if variant == REAL:
            return held_out_images(self.preset)
        if variant.startswith(INPAINTED):
            return self._inpainted_images()
        sets = self.preset.variants[variant].sets * len(self.preset.variant_seeds(variant))
        return self.preset.sample.images * sets

    def _speed(self, stage: Stage) -> Needs:
        """Operations alone: small batches keep a GPU waiting, so that it takes longer than they say."""
        config, flops, ways = self.preset.speed, 0.0, list[Sampling]()
        model, tokenizer = self.preset.teacher.model, self.preset.tokenizer.model
        largest = decoding(tokenizer, model.tokens, max(config.batches))
        for name in config.variants:
            variant = self.preset.variants[name]
            way = Sampling.of(variant, variant.ar_steps)
            ways.append(way)
            for mode in config.modes:
                count = reference if mode == "eager" else optimised
                flops += sum(work.flops for work in count(model, way).values()) + largest.flops
        rounds = (config.repetitions + 1) * sum(config.batches)
        longest = max(ways, key=lambda way: (way.branches, max(way.steps), way.ar_steps))
        peak = self._sampler_bytes(longest, max(config.batches)) + largest.peak_bytes
        return Needs(flops * rounds, peak)
