"""Samples to look at: the same classes, seeds and indices for every variant, drawn at random and not picked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reports.paper import Paper
from reports.pixels import LOSSLESS, Picture, file_picture, grid, rows_of
from reports.results import Results, natural, run_of
from reports.roles import REAL, Role

DRAW_SEED = 20251119  # of the choice of images; printed in the page
CLASSES = 10
EACH = 4  # images of a class
SHOWN = 8  # images of a showcase
STRIP = 9  # moments of one unmasking order; style.css has a rule for each
FRONT = 5  # images in a row of the first screen
SHEET = 10  # images in a row of a class's sheet
SHEET_IMAGES = 50  # of a class on its sheet, the first ones: all would be too much for a page
SHEETS = 20  # classes that have one


@dataclass
class Gallery:
    """Pictures under one sentence that says how they were chosen. A film's pictures are strips of `frames` moments."""

    title: str
    text: str
    pictures: list[Picture] = field(default_factory=list)
    kind: str = "pictures"
    frames: int = 0


@dataclass
class Sheet:
    """The first images of one class, a picture for each variant; `each` says how many of how many."""

    label: int
    name: str
    each: str
    pictures: list[Picture]


def galleries(results: Results, paper: Paper) -> list[Gallery]:
    """Every gallery for which there are files."""
    showcase = results.root / "showcase.npz"
    made = [
        _side_by_side(results, paper),
        results.read(showcase, _orders, required=False),
        results.read(showcase, _inpainting, required=False),
        results.read(results.root / "neighbours.npz", _neighbours, required=False),
        _over_training(results),
    ]
    return [gallery for gallery in made if gallery and gallery.pictures]


def one_of_each_class(results: Results, variants: list[str]) -> tuple[dict[str, Picture], str]:
    """{variant: an image of each of the chosen classes, the same draws in every variant}, and how they were chosen."""
    keys = _read_keys(results, variants)
    chosen = _choose(list(keys.values()))
    chosen = chosen[np.unique(chosen[:, 2], return_index=True)[1]]
    pictures = {}
    for variant in keys if len(chosen) else []:
        images = _read_images(results, variant, _find(keys[variant], chosen))
        if images is not None:
            pictures[variant] = grid(
                images, FRONT, _alt(results, variant, chosen, "in reading order"), variant
            )
    how = (
        "The same classes, noise and unmasking order in all of them; drawn at random with seed "
        f"{DRAW_SEED}, not picked."
    )
    return pictures, how


def sheets(results: Results, paper: Paper) -> list[Sheet]:
    """The first images of each class of the compared models, first seed; none where they are too large or of too many classes."""
    variants = [v for v in _wanted(results, paper) if v != REAL]
    keys = _read_keys(results, variants)
    if not keys or max(len(np.unique(rows[:, 2])) for rows in keys.values()) > SHEETS:
        return []
    found: dict[int, Sheet] = {}
    for variant, rows in keys.items():
        places = np.flatnonzero(rows[:, 0] == rows[:, 0].min())
        places = places[np.argsort(rows[places, 1], kind="stable")]
        of_class = {label: places[rows[places, 2] == label] for label in np.unique(rows[places, 2]).tolist()}
        own = np.concatenate([group[:SHEET_IMAGES] for group in of_class.values()])
        images = _read_images(results, variant, own)
        if images is None or max(images.shape[1:3]) > LOSSLESS:
            continue
        labels = rows[own, 2]
        for label, group in of_class.items():
            name = _class_names(results, np.array([[0, 0, label]]))[0]
            shown = images[labels == label]
            each = (
                f"the first {len(shown)} of {len(group)} images" if len(shown) < len(group) else "every image"
            )
            sheet = found.setdefault(label, Sheet(label, name, each, []))
            alt = f"Samples of {variant} of class {name}: {each} of the first seed"
            sheet.pictures.append(grid(shown, SHEET, alt, variant, gap=1))
    return [found[label] for label in sorted(found)]


# --- the same draws from every variant ----------------------------------------------------------


def _side_by_side(results: Results, paper: Paper) -> Gallery:
    wanted = _wanted(results, paper)
    keys = _read_keys(results, wanted)
    models = [v for v in keys if v != REAL]
    chosen = _choose([keys[v] for v in models])
    title = "The same classes, seeds and orders"
    if not len(chosen):
        return Gallery(
            title,
            "The first images of each class, as the sampling stage wrote them.",
            _ready_made(results, wanted),
        )
    columns = min(EACH, int(np.bincount(chosen[:, 2]).max()))
    pictures = []
    for variant in models:
        images = _read_images(results, variant, _find(keys[variant], chosen))
        if images is not None:
            alt = _alt(results, variant, chosen, "rows from top to bottom")
            pictures.append(grid(images, columns, alt, variant))
    text = (
        "Each place shows the same class, model seed and image index in every picture, so the same noise and the same "
        f"unmasking order. Classes and images were drawn at random with seed {DRAW_SEED}, not picked. Rows, from the top: "
        f"{', '.join(_class_names(results, chosen))}{_of_how_many(results, chosen)}."
    )
    return Gallery(title, text, pictures or _ready_made(results, wanted), "samples")


def _file(results: Results, variant: str) -> Path:
    return results.root / "samples" / f"{variant}.npz"


def _read_keys(results: Results, variants: list[str]) -> dict[str, NDArray]:
    """{variant: (N, 3) seed, index, label} of those that have samples."""
    read = {v: results.read(_file(results, v), _keys, required=False) for v in variants}
    return {v: keys for v, keys in read.items() if keys is not None}


def _read_images(results: Results, variant: str, indices: NDArray) -> NDArray | None:
    return results.read(_file(results, variant), partial(rows_of, name="arr_0", indices=indices))


def _wanted(results: Results, paper: Paper) -> list[str]:
    """Real images, the paper's teacher, the one-step models, and the teacher's head used once."""
    roles = results.roles
    undistilled = [roles.teachers[1]] if 1 in roles.teachers else []
    shown = [*roles.pair(paper.teacher_steps), *roles.named(Role.REINFORCED), *undistilled]
    return [REAL, *dict.fromkeys(shown)]


def _keys(path: Path) -> NDArray:
    """(N, 3): seed, index, label of each image."""
    with np.load(path, allow_pickle=False) as archive:
        labels = archive["arr_1"]
        count = len(labels)
        seed = archive["seed"] if "seed" in archive.files else np.zeros(count, int)
        index = archive["index"] if "index" in archive.files else np.arange(count)
    return np.stack([seed, index, labels], 1).astype(np.int64)


def _choose(keys: list[NDArray]) -> NDArray:
    """(M, 3) keys that all variants have, EACH of at most CLASSES classes, sorted by class."""
    if not keys:
        return np.empty((0, 3), np.int64)
    common = sorted(set.intersection(*({tuple(row) for row in k.tolist()} for k in keys)))
    rng = np.random.default_rng(DRAW_SEED)
    classes = sorted({key[2] for key in common})
    shown = sorted(rng.choice(classes, min(CLASSES, len(classes)), replace=False).tolist()) if classes else []
    groups = {c: [key for key in common if key[2] == c] for c in shown}
    each = min([EACH, *(len(group) for group in groups.values())])
    picked = [
        group[i] for group in groups.values() for i in sorted(rng.choice(len(group), each, replace=False))
    ]
    return np.array(picked, np.int64).reshape(-1, 3)


def _find(keys: NDArray, chosen: NDArray) -> NDArray:
    place = {tuple(key): i for i, key in enumerate(keys.tolist())}
    return np.array([place[tuple(key)] for key in chosen.tolist()])


def _class_names(results: Results, chosen: NDArray) -> list[str]:
    names = results.classes
    return [names[c] if c < len(names) else f"class {c}" for c in dict.fromkeys(chosen[:, 2].tolist())]


def _of_how_many(results: Results, chosen: NDArray) -> str:
    shown = len(set(chosen[:, 2].tolist()))
    return f" ({shown} of {len(results.classes)} classes)" if shown < len(results.classes) else ""


def _alt(results: Results, variant: str, chosen: NDArray, how: str) -> str:
    names = ", ".join(_class_names(results, chosen))
    return f"{len(chosen)} samples of {variant}; {how}: {names}"


def _ready_made(results: Results, variants: list[str]) -> list[Picture]:
    """The grids that the sampling stage drew."""
    alt = "Grid of samples of {}, rows are classes"
    read = [
        results.read(
            results.root / "samples" / f"{v}.png",
            partial(file_picture, alt=alt.format(v), caption=v),
            required=False,
        )
        for v in variants
    ]
    return [picture for picture in read if picture]


# --- over training ------------------------------------------------------------------------------


def _over_training(results: Results) -> Gallery:
    """What each training looked like on the way, the first seed of each model."""
    pictures = sorted((results.root / "training").glob("*.png"), key=lambda path: natural(path.stem))
    files = {run_of(path.stem)[0]: path for path in reversed(pictures)}
    shown = [model for model in results.roles.models if model in files]
    alt = "Samples of {} during its training, one row for each moment from the start to the end"
    read = [
        results.read(files[m], partial(file_picture, alt=alt.format(m), caption=m), required=False)
        for m in shown
    ]
    text = (
        "Rows from top to bottom: before the first step, moments between, after the last. Columns: the same classes "
        "and noise at every moment. The teacher is shown with a short diffusion chain."
    )
    return Gallery("Samples over training", text, [picture for picture in read if picture], "training")


# --- neighbours, orders, in-painting ------------------------------------------------------------


def _neighbours(path: Path) -> Gallery:
    """Each row: a sample, then its nearest training images."""
    with np.load(path, allow_pickle=False) as archive:
        samples, near, distances = (
            archive["samples"][:SHOWN],
            archive["neighbours"][:SHOWN],
            archive["distances"][:SHOWN],
        )
    rows = np.concatenate([samples[:, None], near], 1)
    nearest = ", ".join(f"{d:.3g}" for d in distances[:, 0])
    text = (
        "Left of each row a sample, then its nearest training images in the judge's features: a sample that repeats a "
        f"training image would show itself here. Distance to the nearest, from the first row on: {nearest}."
    )
    alt = f"{len(samples)} samples, each followed by its {near.shape[1]} nearest training images"
    return Gallery(
        "Nearest real neighbours",
        text,
        [grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1], alt, "sample, then neighbours")],
        "rows",
    )


def _orders(path: Path) -> Gallery:
    """An image growing in each unmasking order: a film, its frames side by side without gaps."""
    pictures, moments = [], 0
    with np.load(path, allow_pickle=False) as archive:
        for name in (n for n in archive.files if n.startswith("strip_")):
            frames, order = archive[name], name.removeprefix("strip_").replace("_", "-")
            shown = frames[np.unique(np.linspace(0, len(frames) - 1, STRIP).round().astype(int))]
            moments = len(shown)
            alt = f"An image growing in {order} order over {len(frames) - 1} steps"
            pictures.append(grid(shown, moments, alt, f"{order} order", gap=0))
    return Gallery(
        "One model, any unmasking order",
        "From all masked to finished, one head evaluation for each AR step; the same class and noise in every order.",
        pictures,
        "film",
        moments,
    )


def _inpainting(path: Path) -> Gallery:
    """Each row: original, masked, then fillings."""
    with np.load(path, allow_pickle=False) as archive:
        if "inpaint_filled" not in archive.files:
            return Gallery("", "")
        original, masked, filled = (
            archive[f"inpaint_{part}"][:SHOWN] for part in ("original", "masked", "filled")
        )
    rows = np.concatenate([original[:, None], masked[:, None], filled], 1)
    alt = f"{len(original)} rows: a real image, the same with a part removed, and {filled.shape[1]} fillings by the model"
    text = (
        "Each row: a real image, the part that the model is given, and fillings with different noise. "
        "No training was done for this."
    )
    return Gallery(
        "In-painting",
        text,
        [grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1], alt, "original, given, fillings")],
        "rows",
    )
