"""Counted work against formulas written out by hand, and against the published architecture's figures."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from marval.costs.counting import Work, counted, meta, numbers, quadratic
from marval.costs.image import Sampling, decoding, optimised, reference
from marval.masking.settings import OrderLaw
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import build_autoencoder
from marval.noise.schedule import NoiseSchedule
from marval.sampling.draws import draw_images
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import DiffusionChain, OneStep
from marval.timing.floors import MACHINES, Machine, floor_seconds, measured

# TFLOP of one image at 256 x 256 with guidance and 100 diffusion steps, by encoder, decoder and head, then totals of teacher and
# student; ms of a batch-1 image on an H200. Counted by hand from MAR's published architecture and rounded to three figures. The
# floors bound encoder and decoder together, ours each (5% more for the student of H, whose encoder is bound by its weights).
SIZES = {"base": (768, 12, 12, 1024, 6), "large": (1024, 16, 16, 1280, 8), "huge": (1280, 20, 16, 1536, 12)}
PUBLISHED = [
    ("base", 64, (3.53, 7.44, 3.66), (14.9, 5.75), (121, 8.3)),
    pytest.param("large", 64, (8.29, 17.4, 7.39), (33.3, 13.1), (248, 18.7), marks=pytest.mark.long),
    pytest.param("huge", 64, (16.1, 33.6, 15.5), (65.4, 25.2), (513, 36), marks=pytest.mark.long),
    ("base", 256, (17.5, 29.8, 3.66), (51.1, 23.9), None),
]
KL16 = 0.25e12


def size(name: str) -> MARConfig:
    width, blocks, heads, head_width, head_blocks = SIZES[name]
    return MARConfig(
        side=16, channels=16, classes=1000, width=width, encoder_blocks=blocks, decoder_blocks=blocks, heads=heads,
        head={"width": head_width, "blocks": head_blocks},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ar_steps", "parts", "totals", "floors"), PUBLISHED)
def test_published_figures(name, ar_steps, parts, totals, floors):
    config = size(name)
    teacher = reference(config, Sampling.even(ar_steps, 100, guidance=2.0))
    student = reference(config, Sampling.even(ar_steps, 1, guidance=1.0))
    assert [work.flops / 1e12 for work in teacher.values()] == pytest.approx(parts, rel=5e-3)
    for works, total in zip((teacher, student), totals, strict=True):
        assert (sum(w.flops for w in works.values()) + KL16) / 1e12 == pytest.approx(total, rel=5e-3)
    for works, floor in zip((teacher, student), floors or (), strict=False):
        seconds = floor_seconds(works | {"tokenizer": Work(KL16, 0)}, MACHINES["H200"], 1, 2)
        assert seconds * 1e3 == pytest.approx(floor, rel=0.06)


def test_hoisting_halves_the_floor_of_a_single_image():
    """For MAR-B about 55 ms by hand, from 121."""
    works = optimised(size("base"), Sampling.even(64, 100, guidance=2.0))
    assert floor_seconds(works, MACHINES["H200"], 1, 2) * 1e3 == pytest.approx(55, rel=0.1)


SMALL = MARConfig(
    side=3, channels=5, classes=4, width=16, encoder_blocks=2, decoder_blocks=3, heads=2, buffer_tokens=2,
    head={"width": 24, "blocks": 2},
)  # fmt: skip


def block(length: int, queries: int, width: int) -> int:
    """Keys and values of all rows; the rest of the block of `queries` rows."""
    return 4 * length * width**2 + (2 + 2 + 16) * queries * width**2 + 4 * length * queries * width


def test_published_by_hand():
    """9 tokens in 3 AR steps: 9, 7, 4 are masked when each begins."""
    width, channels, buffer, w = 16, 5, 2, 24
    works = reference(SMALL, Sampling.even(3, 4, guidance=3.0))
    known = [0, 2, 5]
    encoder = sum(2 * u * channels * width + 2 * block(u + buffer, u + buffer, width) for u in known)
    decoder = sum(2 * (u + buffer) * width**2 + 3 * block(9 + buffer, 9 + buffer, width) for u in known)
    embeddings = 2 * channels * w + 2 * width * w + 2 * 256 * w + 2 * w**2
    head = embeddings + 2 * (2 * 3 * w**2 + 4 * w**2) + 2 * 2 * w**2 + 2 * w * 2 * channels
    assert works["encoder"].flops == 2 * encoder
    assert works["decoder"].flops == 2 * decoder
    assert works["head"].flops == 2 * 4 * 9 * head


def test_optimised_by_hand():
    width, channels, buffer, w = 16, 5, 2, 24
    works = optimised(SMALL, Sampling.even(3, 4, guidance=3.0))
    later = [(2, 3), (5, 4)]  # known, predicted; the first AR step is kept by class
    encoder = 2 * sum(2 * block(u + buffer, u + buffer, width) for u, _ in later) + 2 * 5 * channels * width
    decoder = 2 * sum(
        2 * (u + buffer) * width**2 + 2 * block(9 + buffer, 9 + buffer, width) + block(9 + buffer, m, width)
        + 2 * m * width * w
        for u, m in later
    )  # fmt: skip
    step = 2 * channels * w + 2 * (2 * 3 * w**2 + 4 * w**2) + 2 * 2 * w**2 + 2 * w * 2 * channels
    assert works["encoder"].flops == encoder
    assert works["decoder"].flops == decoder
    assert works["head"].flops == 2 * 4 * 9 * step


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "guidance"), [(4, 3.0), (1, 1.0)])
def test_whole_images_make_the_counted_operations(tiny_mar, steps, guidance):
    """Nothing of a real run is left out, neither by the reference nor by the optimised sampler with its classes known."""
    tiny_mar.requires_grad_(False)  # the counter's hooks want leaves with a graph, or none
    config, sampling = tiny_mar.config, Sampling.even(4, steps, guidance)
    sampler = OneStep.at(900) if steps == 1 else DiffusionChain(NoiseSchedule.respaced(steps, 950))
    draws = draw_images(0, range(1), 3, 2, steps, OrderLaw.RANDOM)
    labels = torch.tensor([1])
    fast = OptimisedSampler(tiny_mar, sampler, 4, guidance)
    fast(labels, draws)
    runs = {
        reference: lambda: sample_tokens(tiny_mar, sampler, labels, draws, 4, guidance),
        optimised: lambda: fast(labels, draws),
    }
    for count, run in runs.items():
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            run()
        assert counter.get_total_flops() == sum(work.flops for work in count(config, sampling).values())


def test_weights_are_read_once_for_each_use(tiny_mar):
    works = reference(tiny_mar.config, Sampling.even(4, 6, 2.0))
    assert works["head"].weights == 4 * 6 * numbers(tiny_mar.head)
    assert works["encoder"].weights == 4 * numbers(
        tiny_mar.z_proj, tiny_mar.z_proj_ln, tiny_mar.encoder_blocks, tiny_mar.encoder_norm
    )


@pytest.mark.slow
def test_decoding_counts_the_convolutions():
    config = TokenizerConfig(latent_channels=3, channels=[4, 8], layers_per_block=1, norm_groups=2)
    autoencoder = build_autoencoder(config)
    seen = []
    for module in autoencoder.decoder.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda m, _, out: seen.append(2 * out[0].numel() * m.weight[0].numel())
            )
    with torch.no_grad():
        autoencoder.decode(torch.zeros(1, 3, 5, 5))
    work = decoding(config, 5)
    assert (
        work.flops > sum(seen) > 0.5 * work.flops
    )  # the rest: the latents' 1 x 1 convolution and the attention in the middle
    assert work.weights > numbers(autoencoder.decoder)


def test_quadratic_is_exact():
    assert [quadratic(lambda n: 3 * n * n - 5 * n + 7)(n) for n in range(6)] == [7, 5, 9, 19, 35, 57]
    assert counted(torch.mm, meta(3, 4), meta(4, 5)) == 2 * 3 * 4 * 5


def test_floor_takes_the_longer_of_arithmetic_and_traffic():
    works = {"a": Work(8e6, 10), "b": Work(0, 1e6)}
    machine = Machine(operations=1e9, bandwidth=1e8, source="")
    assert floor_seconds(works, machine, 1, 4) == pytest.approx(8e-3 + 40e-3)
    assert floor_seconds(works, machine, 10, 2) == pytest.approx(8e-3 + 2e-3)


def test_measured_rates_are_plausible(monkeypatch):
    from marval.timing import floors

    monkeypatch.setitem(floors.SIDE, "cpu", 128)
    machine = measured(torch.device("cpu"), torch.float32, 1 << 20)
    assert 1e8 < machine.operations < 1e14
    assert 1e8 < machine.bandwidth < 1e13
