"""Made-up result files in the stages' formats. Test material: no number here was measured."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from reports.formats import md5
from reports.results import Results

SEEDS = [0, 1, 2]
STEPS = (100, 30, 8, 4, 2, 1)

COLUMNS = ("frechet_distance", "within_class_variance", "class_accuracy", "inception_score")
QUALITY = {
    "real": (0.65, 5.72, 0.994, 9.8),
    "teacher-100": (0.86, 5.9, 0.984, 9.5),
    "teacher-30": (0.9, 5.5, 0.986, 9.5),
    "teacher-8": (1.0, 4.5, 0.99, 9.6),
    "teacher-4": (1.2, 3.5, 0.998, 9.7),
    "teacher-2": (1.8, 2.0, 0.999, 9.8),
    "teacher-1": (2.25, 0.9, 1.0, 9.9),
    "teacher-raster": (0.87, 5.8, 0.984, 9.5),
    "teacher-centre-out": (0.88, 5.8, 0.984, 9.5),
    "inpainted-teacher-100": (0.7, 5.6, 0.99, 9.6),
    "marval": (0.9, 5.1, 0.99, 9.55),
    "inpainted-marval": (0.71, 5.4, 0.99, 9.6),
    "marval-w1": (1.3, 8.6, 0.95, 9.1),
    "marval-w2": (3.6, 2.4, 0.998, 9.8),
    "marval-w4": (6.9, 1.1, 1.0, 9.9),
    "marval-raster": (0.91, 5.0, 0.99, 9.5),
    "marval-centre-out": (0.92, 5.0, 0.99, 9.5),
    "marval-k4": (1.0, 4.8, 0.99, 9.5),
    "marval-no-l2": (1.6, 5.2, 0.99, 9.5),
    "marval-rl": (1.25, 4.2, 0.996, 9.7),
}
SCORES = {
    "teacher-100": {"clip_score": 54.1},
    "marval": {"clip_score": 54.1, "image_reward": 0.42, "pick_score": 86.9},
    "marval-w1": {"clip_score": 50.2, "image_reward": 0.21, "pick_score": 84.0},
    "marval-w2": {"clip_score": 56.9, "image_reward": 0.46, "pick_score": 88.0},
    "marval-w4": {"clip_score": 58.0, "image_reward": 0.47, "pick_score": 87.0},
    "marval-rl": {"clip_score": 55.6, "image_reward": 0.55, "pick_score": 88.6},
}
# {variant: {metric: mean over seeds}}
MEANS = {v: dict(zip(COLUMNS, row, strict=True)) | SCORES.get(v, {}) for v, row in QUALITY.items()}
JUDGES = {
    "clip_score": "digits-clip",
    "image_reward": "digits-image-reward",
    "pick_score": "digits-pick-score",
}
TITLES = {
    "frechet_distance": "Fréchet distance",
    "class_frechet_distance": "Per-class Fréchet distance",
    "within_class_variance": "Within-class variance",
    "class_accuracy": "Class accuracy",
    "inception_score": "Inception Score",
    "clip_score": "CLIP score",
    "image_reward": "ImageReward",
    "pick_score": "PickScore",
}
REWARD = "pick_score"
HIGHER = {"frechet_distance": False, "class_frechet_distance": False, "within_class_variance": None}
JITTER = np.array([-1.0, 0.2, 0.8])  # of the three seeds; each metric shuffles it
HALVES = 30


def metric_row(
    name: str, mean: float, seeds: list[int] = SEEDS, spread: float = 0.02, turn: int = 0
) -> dict[str, Any]:
    """One row of metrics/VARIANT.json around `mean`."""
    size = spread * (abs(mean) if name in HIGHER else 0.2)
    jitter = np.random.default_rng(turn).permutation(JITTER) * np.random.default_rng(turn).uniform(0.6, 1.4)
    values = [float(mean + size * j) for j in jitter[: len(seeds)]]
    reach = 2 * size + 1e-3
    draws = np.random.default_rng(turn).normal(0, size / 2, (len(values), HALVES))
    judge = JUDGES.get(name, "digits-cnn")
    role = {"role": "training reward" if name == REWARD else "unseen judge"} if name in JUDGES else {}
    return {
        "metric": name,
        "title": TITLES.get(name, name),
        "value": float(np.mean(values)),
        "ci_low": float(np.mean(values)) - reach,
        "ci_high": float(np.mean(values)) + reach,
        "n": 1000,
        "seeds": seeds,
        "values": values,
        "halves": [
            {"sha256": "halves", "values": (value + draw).tolist()}
            for value, draw in zip(values, draws, strict=True)
        ],
        "higher_is_better": HIGHER.get(name, True),
        "judge": judge,
        "judge_sha256": f"{judge}-sha",
        "interval": "t over seeds",
        "protocol": {"images_per_class": 100} | role,
    }


def write_metrics(root: Path, variant: str, means: dict[str, float], **how: Any) -> None:
    rows = [
        metric_row(name, mean, turn=zlib.crc32(f"{variant} {name}".encode()), **how)
        for name, mean in means.items()
    ]
    write_json(root / "metrics" / f"{variant}.json", rows)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def speed_row(
    variant: str, batch: int, mode: str, seconds: float, steps: int, model: str = "digits"
) -> dict[str, Any]:
    """With the floor at a fifth of the student's time, and 3 times as much for the teacher, who computes twice as much."""
    taught = variant.startswith("teacher")
    return {
        "model": model,
        "variant": variant,
        "device": "cpu",
        "batch": batch,
        "ar_steps": 8,
        "diffusion_steps": steps,
        "mode": mode,
        "seconds_per_image": seconds,
        "ci_low": seconds * 0.98,
        "ci_high": seconds * 1.02,
        "n": 20,
        "shares": {"encoder": 0.2, "decoder": 0.25, "head": 0.5, "tokenizer": 0.05},
        "floor_seconds": 0.003 if taught else 0.001,
        "flops": 2e9 if taught else 1e9,
        "dtype": "float32",
        "peak_memory_mb": 300.4,
        **({"head_evaluations": 8 * steps} if mode == "eager" else {}),
    }


def speed_rows() -> list[dict[str, Any]]:
    rows = []
    for batch, mode, scale, student in (
        (1, "eager", 1.0, 0.0102),
        (64, "eager", 0.06, 0.0007),
        (1, "optimised", 0.4, 0.005),
        (64, "optimised", 0.05, 0.0006),
    ):
        rows += [speed_row(f"teacher-{n}", batch, mode, scale * (0.007 + 0.0034 * n), n) for n in STEPS]
        rows += [speed_row(v, batch, mode, student, 1) for v in ("marval", "marval-rl")]
    return rows


def role(name: str) -> str:
    """The role of a variant of this made-up preset."""
    roles = {
        "marval": "student",
        "marval-rl": "reinforced",
        "marval-raster": "order",
        "marval-centre-out": "order",
        "teacher-raster": "order",
        "teacher-centre-out": "order",
    }
    by_start = {"teacher-": "teacher", "marval-w": "guidance"}
    return roles.get(name) or next((r for start, r in by_start.items() if name.startswith(start)), "ablation")


def settings() -> dict[str, Any]:
    """In the form of results/digits/settings.json."""
    variants: dict[str, Any] = {}
    for name in MEANS:
        if name == "real" or name.startswith("inpainted"):
            continue
        taught = name.startswith("teacher")
        steps = (100 if role(name) == "order" else int(name.split("-")[1])) if taught else None
        own = name if name.startswith(("marval-w", "marval-rl", "marval-no")) else "marval"
        variants[name] = {
            "role": role(name),
            "model": "teacher" if steps else own,
            "diffusion_steps": steps or 1,
            "guidance": 2.0 if steps else 1.0,
            "ar_steps": 4 if name == "marval-k4" else 8,
            "order": name.split("-", 1)[1] if role(name) == "order" else "random",
            "seeds": SEEDS,
        }
    scales = {"marval": 1.2, "marval-w1": 1.0, "marval-w2": 2.0, "marval-w4": 4.0, "marval-no-l2": 1.2}
    return {
        "name": "made-up",
        "seeds": SEEDS,
        "teacher_seeds": SEEDS,
        "prepare": {"data": "mnist-5k", "size": 32},
        "judges": {"kind": "small"},
        "distill": {"variants": {name: {"guidance": w} for name, w in scales.items()}},
        "reinforce": {"variants": {"marval-rl": {"start": "marval", "steps": 10}}},
        "variants": variants,
    }


def full_scale_settings(size: str = "H") -> dict[str, Any]:
    """In the form of results/imagenet256-*/settings.json."""
    width, blocks, heads, head_width, head_blocks = {
        "B": (768, 12, 12, 1024, 6),
        "L": (1024, 16, 16, 1280, 8),
        "H": (1280, 20, 16, 1536, 12),
    }[size]
    backbone = {"width": width, "encoder_blocks": blocks, "decoder_blocks": blocks, "heads": heads}
    model = backbone | {"classes": 1000, "head": {"width": head_width, "blocks": head_blocks}}
    return settings() | {
        "prepare": {"data": "image-folder", "folder": "data/imagenet", "size": 256},
        "judges": {"kind": "published"},
        "teacher": {"official": None, "model": model},
    }


def record(stage: str, root: Path, outputs: list[str], seconds: float) -> None:
    write_json(
        root / "records" / f"{stage}.json",
        {
            "stage": stage,
            "preset": root.name,
            "command": f"python -m marval {stage} {root.name}",
            "started": "2026-01-02T03:04:05+00:00",
            "wall_seconds": seconds,
            "peak_memory_mb": 812.5,
            "git_commit": "0123456789abcdef",
            "git_dirty": False,
            "machine": {"cpu": "made-up CPU", "cores": 2, "gpu": None, "platform": "Linux"},
            "versions": {"python": "3.11", "torch": "2.15.0"},
            "parameters": {
                "workflow/presets/made-up.yaml": {"teacher": {"steps": 5, "optimiser": {"lr": 1e-3}}}
            },
            "inputs": {"results/made-up/data/train.npz": "0" * 32},
            "outputs": {f"results/{root.name}/{o}": md5(root / o) for o in outputs},
        },
    )


def write_curve(path: Path, columns: dict[str, list[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        ",".join(columns),
        *(
            ",".join("" if np.isnan(v) else f"{v:.6g}" for v in row)
            for row in zip(*columns.values(), strict=True)
        ),
    ]
    path.write_text("\n".join(lines) + "\n")


def curves(root: Path) -> None:
    step = np.arange(600.0)
    rng = np.random.default_rng(0)

    def falling(scale: float, noise: float = 0.05) -> list[float]:
        return list(scale * (0.2 + np.exp(-step / 120)) * np.exp(noise * rng.normal(size=len(step))))

    base = {"step": list(step), "seconds": list(step * 0.05)}
    write_curve(
        root / "curves" / "tokenizer.csv",
        base | {"loss_reconstruction": falling(1), "psnr": list(20 + 10 * (1 - np.exp(-step / 200)))},
    )
    write_curve(root / "curves" / "judges.csv", base | {"cnn": falling(2), "clip": falling(3)})
    for seed in SEEDS:
        write_curve(
            root / "curves" / f"teacher-s{seed}.csv",
            base | {"loss_mse": falling(1), "loss_vlb": falling(0.1)},
        )
        losses = {"loss_l1": falling(0.5), "loss_l2": falling(0.4), "loss_auxiliary": falling(0.8)}
        write_curve(root / "curves" / f"marval-s{seed}.csv", base | losses)
        few = np.arange(11.0)
        write_curve(
            root / "curves" / f"marval-rl-s{seed}.csv",
            {
                "step": list(few),
                "seconds": list(few),
                "loss_reward": list(-2.9 - 0.4 * few),
                "grad_norm_student": list(1 + 0 * few),
            },
        )


def watches(root: Path) -> None:
    for seed in SEEDS:
        rows = [
            {
                "step": step,
                REWARD: 2.9 + 0.4 * step,
                "clip_score": 54 + 0.15 * step + 0.05 * seed,
                "image_reward": 0.4 + 0.015 * step,
                "frechet_distance": 0.9 + 0.005 * step * step,
            }
            for step in range(0, 11, 2)
        ]
        watch = {"rows": rows, "reward": REWARD, "step": None, "alarms": []}
        write_json(root / "watch" / f"marval-rl-s{seed}.json", watch)


def digit_images(labels: np.ndarray, seed: int) -> np.ndarray:
    """Stripes whose angle tells the class: uint8 (N, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] / 32
    angle = labels[:, None, None] * np.pi / 10
    wave = np.sin(12 * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 1, (len(labels), 1, 1)))
    grey = (127 + 100 * wave + rng.normal(0, 10, wave.shape)).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


def samples(root: Path) -> None:
    from PIL import Image

    (root / "samples").mkdir(parents=True, exist_ok=True)
    for i, variant in enumerate(("teacher-100", "teacher-1", "marval", "marval-rl")):
        index = np.tile(np.arange(80), len(SEEDS))
        labels = index % 10
        images = digit_images(labels, i)
        np.savez_compressed(
            root / "samples" / f"{variant}.npz",
            arr_0=images,
            arr_1=labels.astype(np.int64),
            seed=np.repeat(SEEDS, 80).astype(np.int64),
            index=index,
        )
        Image.fromarray(np.concatenate(list(images[:10]), 1)).save(root / "samples" / f"{variant}.png")


def showcase(root: Path) -> None:
    labels = np.arange(9)
    strips = {
        f"strip_{order}": digit_images(np.full(9, 3), 5) for order in ("random", "raster", "centre_out")
    }
    original = digit_images(labels, 7)
    masked = original.copy()
    masked[:, :, 16:] = 128
    filled = np.stack([digit_images(labels, 8 + m) for m in range(4)], 1)
    np.savez_compressed(
        root / "showcase.npz",
        **strips,
        inpaint_original=original,
        inpaint_masked=masked,
        inpaint_filled=filled,
        order_grid=np.arange(16),
    )
    near = np.stack([digit_images(labels, 20 + m) for m in range(3)], 1)
    np.savez_compressed(
        root / "neighbours.npz",
        samples=original,
        neighbours=near,
        distances=np.linspace(1, 3, 27).reshape(9, 3),
    )


def weights(path: Path, count: int) -> None:
    """A safetensors file of `count` zero bytes as 8-bit numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps(
        {"__metadata__": {"a": "b"}, "w": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}
    ).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(count))


def write_results(project: Path, name: str = "made-up") -> Path:
    """A complete, made-up results folder; returns project/results/NAME."""
    root = project / "results" / name
    root.mkdir(parents=True)
    write_json(root / "settings.json", settings())
    for variant, means in MEANS.items():
        write_metrics(root, variant, means)
    write_json(root / "speed.json", speed_rows())
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    write_json(root / "data" / "classes.json", words)
    quality = {"ci_low": 0.98, "ci_high": 0.999, "n": 400, "better": "higher"}
    write_json(
        root / "judges" / "quality.json",
        [{"judge": j, "quantity": "held-out accuracy", "value": 0.99} | quality for j in ("cnn", "clip")],
    )
    write_json(
        root / "calibration.json",
        [
            {
                "check": "FID of published samples",
                "expected": 3.94,
                "measured": 3.95,
                "tolerance": 0.05,
                "passed": True,
            }
        ],
    )
    for model, count in (("teacher", 400_000), ("marval", 400_000), ("marval-rl", 400_000)):
        weights(root / "models" / model / "seed-0.safetensors", count)
    curves(root)
    watches(root)
    samples(root)
    showcase(root)
    record("teacher@made-up-0", root, ["models/teacher/seed-0.safetensors"], 65.2)
    record("distill@made-up-marval-0", root, ["models/marval/seed-0.safetensors"], 34.0)
    record("reinforce@made-up-marval-rl-0", root, ["models/marval-rl/seed-0.safetensors"], 6.5)
    record("evaluate@made-up-marval", root, ["metrics/marval.json"], 12.0)
    record("speed", root, ["speed.json"], 48.0)
    return root


def opened(project: Path) -> Results:
    """The results that `write_results` left in a project folder."""
    return Results.open("made-up", project / "results" / "made-up")
