"""A preset: one reproduction at one scale, `workflow/presets/NAME.yaml`, typed and checked before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from marval.config import Config, Name, Seed, Seeds
from marval.data.settings import EncodeConfig
from marval.data.sources import PrepareConfig
from marval.errors import UserError, nearest, shown
from marval.methods.settings import (
    DistillTraining,
    DistillVariant,
    ReinforceTraining,
    ReinforceVariant,
    TeacherTraining,
    TokenizerTraining,
)
from marval.models.settings import TokenizerConfig
from marval.noise import TRAINING_STEPS
from marval.pipeline.explain import explain
from marval.pipeline.files import INPAINTED, REAL
from marval.pipeline.reading import preset_path, read_settings
from marval.pipeline.resources import StageResources
from marval.sampling.settings import InpaintConfig, Role, SampleConfig, SampleVariant, ShowcaseConfig
from marval.timing.settings import LatencyConfig, SpeedConfig
from metrics.judges.section import AnyJudgesConfig, image_sizes, rewards_of, weights_of
from metrics.settings import EvaluationSettings

TEACHER = "teacher"  # the model that MAR training gives


class OfficialTokenizer(Config):
    """Section `tokenizer` where published weights are used: which file of the registry, and its architecture."""

    official: str
    model: TokenizerConfig


class Teacher(TeacherTraining):
    """Section `teacher`: how it is trained, unless published weights take the place of training."""

    official: str | None = Field(None, description="file of the registry of weights; null: train it")


def _tokenizer_kind(section: Any) -> str:
    official = "official" in section if isinstance(section, dict) else isinstance(section, OfficialTokenizer)
    return "(official)" if official else "(trained)"


class Distill(Config):
    """Section `distill`."""

    training: DistillTraining
    variants: dict[Name, DistillVariant] = Field(min_length=1)


class Reinforce(Config):
    """Section `reinforce`."""

    training: ReinforceTraining
    variants: dict[Name, ReinforceVariant]


class LatencyPreset(Config):
    """A preset that times networks with random weights and has nothing else."""

    name: Name
    description: str
    latency: LatencyConfig
    resources: dict[str, StageResources] = Field({}, description="by stage; `default` for all")
    published_files: ClassVar[list[str]] = []


class Preset(Config):
    """A reproduction, from data to report."""

    name: Name
    description: str
    seeds: Seeds
    teacher_seeds: list[Seed] | None = Field(
        None,
        min_length=1,
        description="of the teachers, which teach equally many of `seeds`, in order; default: `seeds`",
    )
    tuned_on: list[Seed] = Field([], description="seeds on which settings were chosen; verdicts want others")
    prompt: str = Field(pattern=r"\{name\}", description="template with {name} for the entity")
    one_step_t: int = Field(
        ge=0,
        lt=TRAINING_STEPS,
        description="noise level at which a head is evaluated once, in training and in sampling",
    )
    prepare: PrepareConfig
    tokenizer: Annotated[
        Annotated[TokenizerTraining, Tag("(trained)")] | Annotated[OfficialTokenizer, Tag("(official)")],
        Discriminator(_tokenizer_kind),
    ]
    encode: EncodeConfig
    judges: AnyJudgesConfig
    teacher: Teacher
    distill: Distill
    reinforce: Reinforce
    sample: SampleConfig
    variants: dict[Name, SampleVariant] = Field(min_length=1)
    inpaint: InpaintConfig = InpaintConfig()
    evaluate: EvaluationSettings
    showcase: ShowcaseConfig
    speed: SpeedConfig
    resources: dict[str, StageResources] = Field({}, description="by stage; `default` for all")

    @model_validator(mode="after")
    def _settings_agree(self) -> Preset:
        _names_are_free(self)
        _sizes_agree(self)
        _names_are_defined(self)
        _seeds_are_trained(self)
        _roles_fit(self)
        return self

    @property
    def published_files(self) -> list[str]:
        """Entries of the registry of weights that this preset starts from."""
        tokenizer = self.tokenizer.official if isinstance(self.tokenizer, OfficialTokenizer) else None
        return [
            name
            for name in (
                tokenizer,
                self.teacher.official,
                *weights_of(self.judges),
            )
            if name
        ]

    @property
    def trained_tokenizer(self) -> TokenizerTraining:
        """Section `tokenizer` of a preset that trains one; UserError for one that takes published weights."""
        if isinstance(self.tokenizer, OfficialTokenizer):
            raise UserError(
                f"{preset_path(self.name)}: tokenizer.official is set, so that no tokenizer is trained"
            )
        return self.tokenizer

    @property
    def official_tokenizer(self) -> OfficialTokenizer:
        """Section `tokenizer` of a preset that takes published weights; UserError for one that trains its own."""
        if isinstance(self.tokenizer, TokenizerTraining):
            raise UserError(
                f"{preset_path(self.name)}: tokenizer.official is missing, so that the tokenizer is trained"
            )
        return self.tokenizer

    @property
    def models(self) -> list[str]:
        """Names of all MAR models: the teacher, the distilled ones, the fine-tuned ones."""
        return [TEACHER, *self.distill.variants, *self.reinforce.variants]

    @property
    def teachers(self) -> dict[int, int]:
        """{seed of a student: seed of its teacher}. Teachers take equal shares of the seeds, in order."""
        own = self.teacher_seeds or ([self.seeds[0]] if self.teacher.official else self.seeds)
        return {seed: own[i * len(own) // len(self.seeds)] for i, seed in enumerate(self.seeds)}

    @property
    def first_teacher(self) -> int:
        """The seed of the first teacher."""
        return self.teachers[self.seeds[0]]

    def model_seeds(self, model: str) -> list[int]:
        """Seeds with which a model is trained."""
        if model == TEACHER:
            return list(dict.fromkeys(self.teachers.values()))
        variants: dict[str, DistillVariant | ReinforceVariant] = {
            **self.distill.variants,
            **self.reinforce.variants,
        }
        variant = variants.get(model)
        return (variant.seeds if variant else None) or self.seeds

    def variant_seeds(self, variant: str) -> list[int]:
        """Seeds whose models make the images of a variant."""
        settings = self.variants[variant]
        return settings.seeds or self.model_seeds(settings.model)


AnyPreset = Preset | LatencyPreset


def _names_are_free(preset: Preset) -> None:
    """Names that stand for something else, or for two things."""
    for section, variants, taken in (
        ("variants", preset.variants, {REAL: "the held-out real images"}),
        ("distill.variants", preset.distill.variants, {TEACHER: "the teacher"}),
        ("reinforce.variants", preset.reinforce.variants, {TEACHER: "the teacher"}),
    ):
        for name in taken.keys() & variants.keys():
            raise ValueError(f"{section} has {name!r}, which is the name of {taken[name]}: choose another")
    for name in preset.variants:
        if name.startswith(INPAINTED):
            raise ValueError(
                f"variants has {name!r}: names that start with {INPAINTED} are those of in-painted images"
            )
    for name in preset.distill.variants.keys() & preset.reinforce.variants.keys():
        raise ValueError(f"distill.variants and reinforce.variants both have {name!r}: rename one")


def _sizes_agree(preset: Preset) -> None:
    """Sizes that two sections state, or that follow from one and are stated in another."""
    size, model, tokenizer = preset.prepare.size, preset.teacher.model, preset.tokenizer.model
    patches = f" in patches of {tokenizer.patch} x {tokenizer.patch}" if tokenizer.patch > 1 else ""
    if model.channels != tokenizer.token_channels:
        raise ValueError(
            f"teacher.model.channels is {model.channels} but tokenizer.model.latent_channels is "
            f"{tokenizer.latent_channels}{patches}: make them the same"
        )
    if model.side * tokenizer.pixels != size:
        raise ValueError(
            f"teacher.model.side is {model.side}, but prepare.size {size} and the {len(tokenizer.channels)} levels of "
            f"tokenizer.model.channels make latents of side {size / tokenizer.downsampling:g}{patches}"
        )
    classes = preset.prepare.class_count()
    if classes is not None and classes != model.classes:
        raise ValueError(
            f"teacher.model.classes is {model.classes}, but the images of prepare have {classes} classes"
        )
    for name, side in image_sizes(preset.judges).items():
        if side != size:
            raise ValueError(
                f"judges.{name}.image_size is {side} but prepare.size is {size}: make them the same"
            )


def _names_are_defined(preset: Preset) -> None:
    tokens = preset.teacher.model.tokens
    for name, variant in preset.variants.items():
        _known(f"variants.{name}.model", variant.model, preset.models)
        if variant.ar_steps > tokens:
            raise ValueError(f"variants.{name}.ar_steps is {variant.ar_steps}, more than the {tokens} tokens")
    for name, tuned in preset.reinforce.variants.items():
        _known(f"reinforce.variants.{name}.start", tuned.start, list(preset.distill.variants))
        if (tuned.rewarded_after or 0) > preset.reinforce.training.ar_steps:
            raise ValueError(
                f"reinforce.variants.{name}.rewarded_after is {tuned.rewarded_after}, more than "
                f"reinforce.training.ar_steps, {preset.reinforce.training.ar_steps}"
            )
    for key, steps in (
        ("reinforce.training.ar_steps", preset.reinforce.training.ar_steps),
        ("showcase.ar_steps", preset.showcase.ar_steps),
    ):
        if steps > tokens:
            raise ValueError(f"{key} is {steps}, more than the {tokens} tokens, teacher.model.side squared")
    _known("reinforce.training.reward", preset.reinforce.training.reward, rewards_of(preset.judges))
    _known("showcase.model", preset.showcase.model, preset.models)
    _known("showcase.variant", preset.showcase.variant, list(preset.variants))
    for name in preset.speed.variants:
        _known("speed.variants", name, list(preset.variants))
    for name in preset.inpaint.variants:
        _known("inpaint.variants", name, list(preset.variants))


def _seeds_are_trained(preset: Preset) -> None:
    own = preset.teacher_seeds or []
    if preset.teacher.official and len(set(own)) > 1:
        raise ValueError(f"teacher_seeds is {own}, but there is one official teacher: leave it out")
    if len(own) > len(preset.seeds):
        raise ValueError(f"teacher_seeds has {len(own)} entries, more than the {len(preset.seeds)} of seeds")
    for name in [*preset.distill.variants, *preset.reinforce.variants]:
        if extra := set(preset.model_seeds(name)) - set(preset.seeds):
            raise ValueError(
                f"seeds of {name}: {sorted(extra)} are not among the preset's; `seeds` is {preset.seeds}"
            )
    for name, tuned in preset.reinforce.variants.items():
        if extra := set(preset.model_seeds(name)) - set(preset.model_seeds(tuned.start)):
            raise ValueError(
                f"reinforce.variants.{name}.seeds: {tuned.start} is not trained with {sorted(extra)}"
            )
    for name, variant in preset.variants.items():
        if extra := set(variant.seeds or []) - set(preset.model_seeds(variant.model)):
            raise ValueError(
                f"variants.{name}.seeds: {sorted(extra)} are not trained; `seeds` is {preset.seeds}"
            )
    if preset.showcase.seed not in (valid := preset.model_seeds(preset.showcase.model)):
        raise ValueError(
            f"showcase.seed is {preset.showcase.seed}, but {preset.showcase.model} has the seeds {valid}"
        )


def _roles_fit(preset: Preset) -> None:
    """One student, at most one reinforced variant, and models of the kind that a role is about."""
    fitting = {
        Role.TEACHER: [TEACHER],
        Role.STUDENT: list(preset.distill.variants),
        Role.GUIDANCE: list(preset.distill.variants),
        Role.FRONTIER: list(preset.distill.variants),
        Role.REINFORCED: list(preset.reinforce.variants),
    }
    for name, variant in preset.variants.items():
        if variant.model not in fitting.get(variant.role, preset.models):
            raise ValueError(
                f"variants.{name}.role is {variant.role.value}, but its model is {variant.model}"
            )
    by_role = {role: [n for n, v in preset.variants.items() if v.role is role] for role in Role}
    if len(by_role[Role.STUDENT]) != 1:
        raise ValueError(
            f"variants: exactly one has the role student, the model that the claims are about; here: {by_role[Role.STUDENT]}"
        )
    if len(by_role[Role.REINFORCED]) > 1:
        raise ValueError(f"variants: at most one has the role reinforced; here: {by_role[Role.REINFORCED]}")
    student = preset.variants[by_role[Role.STUDENT][0]].model
    for name in by_role[Role.REINFORCED]:
        model = preset.variants[name].model
        if (start := preset.reinforce.variants[model].start) != student:
            raise ValueError(
                f"reinforce.variants.{model}.start is {start}, but the student is {student}: make them the same"
            )
    steps = Counter(preset.variants[name].diffusion_steps for name in by_role[Role.TEACHER])
    if twice := [count for count, times in steps.items() if times > 1]:
        raise ValueError(
            f"variants: two have the role teacher and diffusion_steps {twice[0]}: only one can be the teacher's"
        )


def _known(key: str, name: str, valid: list[str]) -> None:
    if name not in valid:
        raise ValueError(f"{key} is {shown(name)}, which is not defined{nearest(name, valid)}")


def load_preset(name: str) -> AnyPreset:
    """Read and check a preset; UserError names the file, the key, the value and the nearest valid name."""
    content = read_settings(name)
    kind = LatencyPreset if "latency" in content else Preset
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{preset_path(name)}: {explain(error, kind)}") from None


def load_reproduction(name: str) -> Preset:
    """The same, of a preset that has data; UserError where it only times."""
    preset = load_preset(name)
    if isinstance(preset, LatencyPreset):
        raise UserError(f"{preset_path(name)} has no data, no training and no samples: name another preset")
    return preset


def resolved_settings(preset: AnyPreset) -> dict[str, Any]:
    """All settings with every default filled in, as JSON has them: what stages depend on, and what reports read."""
    settings = preset.model_dump(mode="json", exclude={"resources"})
    if isinstance(preset, Preset):
        settings["teacher_seeds"] = list(preset.teachers.values())
        # of samples alone, which are of all seeds: what is trained with one does not hang on which others there are
        for name, variant in settings["variants"].items():
            variant["seeds"] = preset.variant_seeds(name)
    return settings


def stage_threads(settings: Mapping[str, Any], kind: str) -> int:
    """CPU threads of a stage, from resolved settings: they may change the last bit of a result, so they are a setting."""
    section = settings.get(kind) or {}
    return section.get("training", section).get("threads", 1)


def stage_processes(settings: Mapping[str, Any], kind: str) -> int:
    """Processes that share a stage's work where there are no GPUs, likewise; on GPUs there is one for each."""
    section = settings.get(kind) or {}
    return section.get("training", section).get("processes", 1)
