"""`python -m marval plan`: the plan of presets, for a stated GPU, how well it is used, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence

from marval.artifacts import read_json
from marval.pipeline.files import Files, settings_path
from marval.pipeline.graph import Stage, graph_of
from marval.pipeline.items import active_presets
from marval.pipeline.missing import nodes_of, outlook
from marval.pipeline.preset import AnyPreset, Preset, load_preset, resolved_settings
from marval.pipeline.resources import resources_of
from marval.pipeline.state import State
from marval.plan.hardware import ANCHOR, FLOAT32_SHARE, Hardware, Job, wall_seconds
from marval.plan.needs import Estimator, LatencyEstimator, Needs, TrainingImages, weights_bytes
from marval.plan.table import Line, aligned, missing_lines, quantity, rows
from marval.progress import Progress

GB = 1e9


def plan(names: Sequence[str], hardware: Hardware) -> str:
    """The text for some presets, or for the active ones."""
    return "\n\n".join(_plan(load_preset(name), hardware) for name in names or active_presets())


def _plan(preset: AnyPreset, hardware: Hardware) -> str:
    graph = graph_of(preset.name)
    state = State(graph, {settings_path(preset.name): resolved_settings(preset)})
    found = outlook(nodes_of(graph, {preset.name: preset}), state.is_settled)
    to_run = state.to_run() - found.settled
    estimator = Estimator(preset) if isinstance(preset, Preset) else LatencyEstimator(preset.latency)
    speed = Files(preset.name).root / "speed.json"
    given = hardware.utilisation
    hardware = hardware.measured(read_json(speed) if speed.is_file() else [])
    basis = (
        "as given"
        if given
        else f"measured in {speed}"
        if hardware.utilisation
        else "MAR-L's training on an H100"
    )
    lines, jobs = [], {}
    with Progress(f"plan {preset.name}", len(graph.stages), "stage") as progress:
        for address, stage in graph.stages.items():
            needed = address in to_run or address in found.waiting
            needs = estimator.of(stage) if needed else Needs()
            gpus = resources_of(preset.resources, stage.kind).gpus or 1
            seconds = hardware.seconds(needs.flops, needs.float32_flops)
            status = "waits" if address in found.waiting else "to run" if needed else "done"
            lines.append(Line(stage.kind, _name(stage), status, needs, gpus, seconds / 3600))
            if needed:
                jobs[address] = Job(seconds, gpus, frozenset(graph.inputs(stage).values()))
            progress.advance(1)
    missing = {m: None for lacking in found.waiting.values() for m in lacking}
    return "\n".join(
        [
            f"{preset.name}: {preset.description}",
            "",
            *aligned(rows(lines, hardware.memory_bytes)),
            "",
            *(["missing:", *missing_lines(missing), ""] if missing else []),
            *_small_print(lines, estimator, hardware, basis),
            _total(preset, lines, jobs, hardware),
        ]
    )


def _name(stage: Stage) -> str:
    return f"{stage.item.get('variant', '')} {stage.item.get('seed', '')}".strip()


def _small_print(
    lines: Sequence[Line], estimator: Estimator | LatencyEstimator, hardware: Hardware, basis: str
) -> list[str]:
    rate = hardware.machine.operations / 1e12
    machine = f"what one {hardware.gpu} reaches, {rate:.0f} TFLOP/s in bfloat16"
    notes = [
        f"FLOP: counted. GPU-hours: at {hardware.utilisation or ANCHOR:.0%} of {machine} ({basis});",
        f"judges in float32 without TF32, at {FLOAT32_SHARE:.0%} of that rate (estimated). GB of each GPU: estimated from every",
        "tensor of a step. Disk: what a stage leaves, uncompressed; the total adds weights and one checkpoint, and DVC's",
        "cache takes the results again unless the file system has reflinks. Left out: miniature judges, figures.",
    ]
    if isinstance(estimator, Estimator):
        notes.append(_training_images(estimator.images))
        notes += [
            _budget(name, steps, images, estimator.images.count)
            for name, steps, images in _fine_tunings(estimator.preset)
        ]
    limit = hardware.memory_bytes
    if any(line.needs.gpu_bytes > limit for line in lines):
        notes.append(
            f"! More than one {hardware.gpu} has, {limit / GB:.0f} GB: lower scale.micro_batch, or set activation_checkpointing."
        )
    return notes


def _training_images(images: TrainingImages) -> str:
    """How many there are, or that nobody knows yet."""
    if not images.count:
        return f"Training images: {images.source}; to encode them counts as nothing until then."
    return f"Training images: {images.count:,} ({images.source})."


def _fine_tunings(preset: Preset) -> list[tuple[str, int, int]]:
    """Variant, steps and images of each fine-tuning by a reward."""
    section = preset.reinforce
    return [(name, v.steps, v.steps * section.training.batch) for name, v in section.variants.items()]


def _budget(name: str, steps: int, images: int, training_images: int) -> str:
    """What a fine-tuning's length is in the paper's unit."""
    epochs = f", {images / training_images:.2g} epochs" if training_images else ""
    return f"RL: {name} is {steps:,} steps on {images:,} images{epochs}."


def _total(preset: AnyPreset, lines: Sequence[Line], jobs: dict[str, Job], hardware: Hardware) -> str:
    if not jobs:
        return f"Total: nothing to do; the report is results/{preset.name}/report.html"
    gpus = hardware.gpus or max(job.gpus for job in jobs.values())
    flops, hours = sum(x.needs.flops + x.needs.float32_flops for x in lines), sum(x.gpu_hours for x in lines)
    passing = max(x.needs.passing_bytes for x in lines)
    disk = sum(x.needs.disk_bytes for x in lines) + passing + weights_bytes(preset.published_files)
    wall = wall_seconds(jobs, gpus) / 3600
    many = "1 GPU" if gpus == 1 else f"{gpus} GPUs"
    return (
        f"Total: {len(jobs)} stages, {quantity(flops)}FLOP, {hours:,.1f} GPU-hours, {wall:,.1f} hours on {many}, "
        f"{disk / GB:,.0f} GB; start: make reproduce PRESET={preset.name}"
    )
