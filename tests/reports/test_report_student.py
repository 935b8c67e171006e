"""The model in the page is the model: plain JavaScript against torch, in a real browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import browser
import made_up
import numpy as np
import pytest
import torch

from marval.artifacts import write_tensors
from marval.masking.orders import fixed_order
from marval.masking.settings import OrderLaw
from marval.models.mar import MAR
from marval.models.saved import save_mar
from marval.models.settings import HeadConfig, MARConfig, TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder
from marval.sampling.draws import Draws, draw_images
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import OneStep
from reports.build import build
from reports.page import TEMPLATES
from reports.results import Results
from reports.student import Student, student

in_a_browser = pytest.mark.skipif(browser.MISSING, reason="no chromium on this machine")
SIZES = MARConfig(
    side=4,
    channels=8,
    classes=5,
    width=24,
    encoder_blocks=1,
    decoder_blocks=2,
    heads=3,
    buffer_tokens=2,
    head=HeadConfig(width=20, blocks=2),
)
PIXELS = TokenizerConfig(
    image_channels=1, latent_channels=2, patch=2, channels=[8, 16], layers_per_block=1, norm_groups=4
)
ONE_STEP_T = 900
MEAN, STD = [0.3, -0.2, 0.1, 0.0, -0.1, 0.2, 0.4, -0.3], [1.5, 0.7, 1.1, 0.9, 1.2, 0.8, 1.0, 1.3]


def settings() -> dict[str, Any]:
    variant = {"role": "student", "model": "marval", "diffusion_steps": 1, "guidance": 1.0, "ar_steps": 5}
    return {"name": "made-up", "one_step_t": ONE_STEP_T, "variants": {"marval": variant}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[MAR, Tokenizer, Path]:
    """Random networks of no symmetry, and a results folder that has them."""
    torch.manual_seed(0)
    model = MAR(SIZES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    autoencoder = build_autoencoder(PIXELS)
    root = tmp_path_factory.mktemp("student") / "results" / "made-up"
    made_up.write_json(root / "settings.json", settings())
    made_up.write_json(root / "latents/normaliser.json", {"mean": MEAN, "std": STD})
    save_mar(model, root / "models/marval/seed-0.safetensors")
    write_tensors(root / "models/tokenizer.safetensors", dict(autoencoder.state_dict()))
    made_up.write_json(root / "models/tokenizer.json", {"kind": "tokenizer", "config": PIXELS.model_dump()})
    return model, Tokenizer(PIXELS, autoencoder, torch.tensor(MEAN), torch.tensor(STD)), root


@pytest.fixture(scope="module")
def embedded(trained: tuple[MAR, Tokenizer, Path]) -> Student:
    found = student(Results.open("made-up", trained[2]))
    assert found
    return found


def draws(law: OrderLaw, known: int = 0) -> Draws:
    """Of one image; with `known` its last positions in raster order come last."""
    drawn = draw_images(7, range(1), SIZES.side, SIZES.channels, 1, law)
    if not known:
        return drawn
    order = drawn.order.gather(
        1, (drawn.order >= SIZES.tokens - known).to(torch.uint8).argsort(dim=1, stable=True)
    )
    return Draws(order, drawn.start, drawn.steps)


CASES = [
    (OrderLaw.RANDOM, 5, 0),
    (OrderLaw.RASTER, 16, 0),
    (OrderLaw.CENTRE_OUT, 1, 0),
    (OrderLaw.RANDOM, 3, 6),
]


@in_a_browser
def test_the_page_draws_what_torch_draws(
    trained: tuple[MAR, Tokenizer, Path], embedded: Student, tmp_path: Path
) -> None:
    model, tokenizer, _ = trained
    known = torch.randn(1, SIZES.tokens, SIZES.channels, generator=torch.Generator().manual_seed(1))
    asked, expected = [], []
    for label, (law, steps, given) in enumerate(CASES):
        drawn = draws(law, given)
        with torch.no_grad():
            tokens = sample_tokens(
                *(model, OneStep.at(ONE_STEP_T), torch.tensor([label]), drawn, steps, 1),
                known=known if given else None,
                known_count=given,
            )
            expected.append((tokens.numpy().ravel(), tokenizer.decode(tokens)[0, 0].numpy().ravel()))
        asked.append(
            {
                "label": label,
                "order": drawn.order[0].tolist(),
                "start": drawn.start.flatten().tolist(),
                "steps": steps,
                "known": known.flatten().tolist() if given else None,
                "count": given,
            }
        )
    answers = answered(
        embedded,
        f"""{json.dumps(asked)}.map((c) => {{
          let last = null, evaluations = 0;
          const known = c.known && new Float32Array(c.known);
          const start = new Float32Array(c.start);
          for (last of Student.sample(student, c.label, c.order, start, c.steps, known, c.count)) evaluations++;
          return {{ tokens: [...last.tokens], image: [...Student.decode(student, last.tokens).data], evaluations }};
        }})""",
        tmp_path,
    )
    for (tokens, image), answer, (_, steps, _) in zip(expected, answers, CASES, strict=True):
        assert answer["evaluations"] == steps
        assert np.abs(np.array(answer["tokens"]) - tokens).max() < 1e-4
        assert np.abs(np.array(answer["image"]) - image).max() < 1e-4
        assert np.abs(image).max() > 0.1  # something was drawn


@in_a_browser
def test_orders_and_noise_of_the_page(embedded: Student, tmp_path: Path) -> None:
    laws = [OrderLaw.RASTER, OrderLaw.CENTRE_OUT]
    fixed, (first, again, other) = answered(
        embedded,
        f"""[{json.dumps(laws)}.map((law) => Student.fixedOrder(law, 4)), [3, 3, 4].map((seed) => {{
          const drawn = Student.draws(seed, 1000, 3);
          return {{ permutation: drawn.permutation, start: [...drawn.start] }};
        }})]""",
        tmp_path,
    )
    assert [order[::-1] for order in fixed] == [fixed_order(law, 4).tolist() for law in laws]
    assert first == again
    assert first["start"] != other["start"]
    assert sorted(first["permutation"]) == list(range(1000))
    noise = np.array(first["start"])
    assert abs(noise.mean()) < 0.06  # three standard errors of 3,000 normal numbers
    assert abs(noise.std() - 1) < 0.04


@in_a_browser
def test_the_reader_sees_the_model_draw(trained: tuple[MAR, Tokenizer, Path], tmp_path: Path) -> None:
    """The page itself, scrolled to the model: it draws once by itself, keeps all squares, and complains of nothing."""
    root = tmp_path / "results" / "made-up"
    root.parent.mkdir()
    shutil.copytree(trained[2], root)
    build(Results.open("made-up", root))
    dom, log = browser.run(tmp_path, f"{(root / 'report.html').as_uri()}#model")
    assert 'data-done="' in dom
    assert "Seed 0: 16 squares in 5 AR steps" in dom
    assert dom.count('aria-pressed="false"') == SIZES.tokens
    assert browser.console(log) == []
    for flags in ((), (browser.DARK,)):
        seen = browser.looked_at(
            tmp_path, {"copy.html": root / "report.html"}, "function measure() {}", *flags
        )
        assert {width: told["violations"] for (_, width), told in seen.items()} == {
            w: [] for w in browser.WIDTHS
        }


def answered(embedded: Student, question: str, folder: Path) -> Any:
    """The value of a JavaScript expression that may use `Student` and `student`."""
    code = (TEMPLATES / "student.js").read_text()
    (folder / "asked.html").write_text(
        f"""<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><script>{code}</script><script>
        const {{ config, table }} = {embedded.description};
        const student = {{ config, weights: Student.weightsFrom("{embedded.weights}", table) }};
        document.documentElement.dataset.told = JSON.stringify({question});
        </script>"""
    )
    dom, log = browser.run(folder, (folder / "asked.html").as_uri())
    return browser.told(dom, log)


def test_only_what_draws_is_embedded(embedded: Student) -> None:
    assert "decoder.conv_in.weight" in embedded.table
    assert not any(name.startswith(("encoder.", "quant_conv")) for name in embedded.table)
    offset, shape = embedded.table["class_emb.weight"]
    assert (offset, shape) == (0, [SIZES.classes, SIZES.width])


@pytest.mark.parametrize("spoil", ["guidance", "missing", "cut", "large"])
def test_a_page_without_the_model_where_it_cannot_run(
    trained: tuple[MAR, Tokenizer, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    root = tmp_path / "results" / "made-up"
    root.parent.mkdir()
    shutil.copytree(trained[2], root)
    weights = root / "models/marval/seed-0.safetensors"
    if spoil == "guidance":
        changed = settings()
        changed["variants"]["marval"]["guidance"] = 1.5
        made_up.write_json(root / "settings.json", changed)
    elif spoil == "missing":
        (root / "latents/normaliser.json").unlink()
    elif spoil == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        monkeypatch.setattr("reports.student.LIMIT", 1000)
    results = Results.open("made-up", root)
    assert student(results) is None
    assert any("is damaged" in problem for problem in results.problems) == (spoil == "cut")
