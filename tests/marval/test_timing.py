"""What is timed, in which order, and what a row says."""

import gc

import numpy as np
import pytest
import torch

from marval.costs.image import Sampling, optimised, reference
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.settings import SampleConfig, SampleVariant
from marval.timing.clock import fits, interleaved, median_interval
from marval.timing.images import ImageJob, Subject, measure, turns
from marval.timing.table import table

CPU = torch.device("cpu")
VARIANTS = {
    "teacher-3": SampleVariant(role="teacher", model="teacher", diffusion_steps=3, guidance=2.0, ar_steps=4),
    "marval": SampleVariant(role="student", model="marval", diffusion_steps=1, ar_steps=4),
}


class SmallMemory(Tokenizer):
    """Refuses more than two images at once, as a device does whose memory is full; counts the samplers that live meanwhile."""

    def decode(self, tokens_BNC: torch.Tensor) -> torch.Tensor:
        self.alive = sum(isinstance(thing, OptimisedSampler) for thing in gc.get_objects())
        if len(tokens_BNC) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return super().decode(tokens_BNC)


@pytest.fixture
def subject(tiny_mar) -> Subject:
    size = TokenizerConfig(latent_channels=2, channels=[4, 4], layers_per_block=1, norm_groups=2)
    tokenizer = SmallMemory(size, build_autoencoder(size), torch.zeros(2), torch.ones(2))
    return Subject(tiny_mar, tokenizer, SampleConfig(images=10, batch=1, chain_start=950), 900)


def test_works_take_turns():
    seen: list[str] = []
    works = {name: (lambda name=name: seen.append(name)) for name in "AB"}
    seconds = interleaved(works, 3, CPU, after_run=lambda: seen.append("|"))
    assert "".join(seen) == "A|B|A|B|A|B|"
    assert {name: len(taken) for name, taken in seconds.items()} == {"A": 3, "B": 3}
    assert all(s >= 0 for taken in seconds.values() for s in taken)


def test_a_spent_budget_ends_after_a_whole_round():
    seconds = interleaved({"A": lambda: None, "B": lambda: None}, 5, CPU, budget=-1.0)
    assert {name: len(taken) for name, taken in seconds.items()} == {"A": 1, "B": 1}


def test_interval_of_the_median_covers():
    """At least 95% by the binomial law; and not the whole range once that is wider than needed."""
    rng = np.random.default_rng(0)
    for n in (6, 9, 20):
        draws = rng.exponential(size=(1000, n))
        low, high = np.array([median_interval(row) for row in draws]).T
        covered = np.mean((low <= np.log(2)) & (np.log(2) <= high))
        assert 0.94 < covered < 0.99, n
    assert median_interval(np.arange(9.0)) == (1.0, 7.0)
    assert median_interval(np.array([3.0, 1.0, 2.0])) == (1.0, 3.0)


def test_full_memory_is_no_failure_and_a_mistake_is_one():
    def full():
        raise torch.OutOfMemoryError("out of memory")

    def cpu_full():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    def wrong():
        raise RuntimeError("shapes do not match")

    assert fits(lambda: None, CPU)
    assert not fits(full, CPU)
    assert not fits(cpu_full, CPU)
    with pytest.raises(RuntimeError, match="shapes"):
        fits(wrong, CPU)


@pytest.mark.slow
def test_rows_say_what_was_timed(subject):
    rows = measure(subject, VARIANTS, ["eager", "optimised"], batch=2, repetitions=3)
    assert [(row["variant"], row["mode"]) for row in rows] == [
        ("teacher-3", "eager"), ("teacher-3", "optimised"), ("marval", "eager"), ("marval", "optimised"),
    ]  # fmt: skip
    for row in rows:
        assert row["ci_low"] <= row["seconds_per_image"] <= row["ci_high"]
        assert (row["device"], row["dtype"], row["batch"], row["n"]) == ("cpu", "float32", 2, 3)
        assert row["shares"].keys() == {"encoder", "decoder", "head", "tokenizer"}
        assert 0 < sum(row["shares"].values()) <= 1
        assert 0 < row["floor_seconds"] < row["seconds_per_image"]
        assert sum(row["flops_by_component"].values()) == row["flops"]
    sampling = Sampling.even(4, 3, 2.0)
    for row, count in zip(rows[:2], (reference, optimised), strict=True):
        works = count(subject.model.config, sampling)
        assert all(row["flops_by_component"][name] == work.flops for name, work in works.items())
    alone = measure(subject, VARIANTS, ["eager"], batch=1, repetitions=1)
    assert all(row["ci_low"] is None for row in alone)
    assert table(alone).count("one round") == 2
    printed = table(rows)
    assert "marval is" in printed
    assert printed.count("times as fast as teacher-3") == 2


def test_both_modes_make_the_same_images(subject):
    for variant in VARIANTS.values():
        images = []
        for mode in ("eager", "optimised"):
            job = ImageJob(subject, variant, mode, batch=2)
            job.build()
            images.append(job.tokens())
        assert torch.allclose(*images, atol=1e-5)


@pytest.mark.parametrize("batch", [2, 3])
def test_samplers_are_let_go(subject, batch):
    """One that failed before the next is built, all others at the end: their graphs hold more than a GPU has."""
    measure(subject, VARIANTS, ["optimised"], batch, repetitions=1)
    assert subject.tokenizer.alive == (1 if batch == 3 else 2)
    assert not any(isinstance(thing, OptimisedSampler) for thing in gc.get_objects())


def test_a_gpu_holds_one_sampler_at_a_time():
    assert turns(["a", "b"], torch.device("cuda")) == [["a"], ["b"]]
    assert turns(["a", "b"], CPU) == [["a", "b"]]


def test_what_does_not_fit_is_reported(subject):
    rows = measure(subject, VARIANTS, ["eager"], batch=3, repetitions=3)
    assert [row["skipped"] for row in rows] == ["a batch of 3 does not fit in memory"] * 2
    assert "does not fit" in table(rows)


def test_latency_settings_name_what_is_wrong():
    from pydantic import ValidationError

    from marval.timing.settings import LatencyScale

    model = MARConfig(
        side=2, channels=2, classes=2, width=8, encoder_blocks=1, decoder_blocks=1, heads=1,
        head={"width": 8, "blocks": 1},
    )  # fmt: skip
    common = {"precision": "fp32", "models": {"mar": model}, "repetitions": 3, "budget_seconds": 1}
    for regime, words in (
        ({"models": ["mra"], "ar_steps": 2, "batches": [1]}, "'mra'"),
        ({"models": ["mar"], "ar_steps": 5, "batches": [1]}, "more than the 4 tokens of mar"),
    ):
        with pytest.raises(ValidationError, match=words):
            LatencyScale(regimes=[regime], **common)


def test_evaluations_of_the_head_are_counted_while_it_samples(subject):
    """One for each AR step of the student, one for each of its diffusion steps for the teacher; not read off the settings."""
    rows = measure(subject, VARIANTS, ["eager", "optimised"], batch=2, repetitions=1)
    counted = {(row["variant"], row["mode"]): row.get("head_evaluations") for row in rows}
    assert counted == {
        ("teacher-3", "eager"): 12,
        ("teacher-3", "optimised"): None,
        ("marval", "eager"): 4,
        ("marval", "optimised"): None,
    }


def test_a_sampler_that_evaluates_twice_is_found_out(subject, monkeypatch):
    job = ImageJob(subject, VARIANTS["marval"], "eager", 2)
    job.build()
    inner = job.inner[0]
    monkeypatch.setattr(job, "inner", [lambda *given: (inner(*given), inner(*given))[1]] * 4)
    assert job.head_evaluations() == 8
