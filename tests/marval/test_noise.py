"""The diffusion process: conversions undo each other, and the sampler equals an independent library's."""

import pytest
import torch

from marval.noise.ancestral import ancestral_step
from marval.noise.conversions import diffuse, x0_from_noise
from marval.noise.schedule import NoiseSchedule, respaced_timesteps


def test_conversions_are_inverses():
    x0, noise = torch.randn(2, 50, 4, dtype=torch.float64)
    schedule = NoiseSchedule.full()
    t = torch.randint(0, 990, (50,))
    alpha, sigma = schedule.alpha[t][:, None].double(), schedule.sigma[t][:, None].double()
    x_t = diffuse(x0, noise, alpha, sigma)
    assert torch.allclose(x0_from_noise(x_t, noise, alpha, sigma), x0, atol=1e-9)


def test_respacing_spans_the_chain():
    steps = respaced_timesteps(100)
    assert (steps[0], steps[-1], len(set(steps))) == (0, 999, 100)
    assert respaced_timesteps(10, last=950)[-1] == 950
    with pytest.raises(ValueError, match="2 to 1000 steps"):
        respaced_timesteps(1)


@pytest.mark.parametrize("count", [4, 25, 100])
def test_chain_equals_diffusers(count):
    """diffusers' DDPM scheduler, told the same settings, takes the same steps from the same predictions and noise."""
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", variance_type="learned_range", timestep_spacing="linspace", clip_sample=False
    )  # fmt: skip
    theirs.set_timesteps(count)
    ours = NoiseSchedule.respaced(count)
    assert theirs.timesteps.flip(0).tolist() == ours.timesteps.tolist()
    x = torch.randn(5, 4)
    for i in reversed(range(count)):
        prediction, v = torch.randn(5, 4), torch.rand(5, 4) * 2 - 1
        seed = int(torch.randint(2**31, ()))
        noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))
        # diffusers wants a channel axis to split the prediction from the variance
        step = theirs.step(
            torch.cat([prediction, v], dim=1)[..., None], int(ours.timesteps[i]), x[..., None],
            generator=torch.Generator().manual_seed(seed),
        ).prev_sample[..., 0]  # fmt: skip
        mine = ancestral_step(ours, i, x, prediction, v, noise, temperature=1.0)
        assert torch.allclose(mine, step, rtol=1e-4, atol=1e-4 * step.abs().max())
        x = torch.randn(5, 4)


def test_temperature_scales_the_noise_alone():
    schedule = NoiseSchedule.respaced(10)
    x, prediction, v, noise = torch.randn(4, 5, 3)
    mean, warm, hot = (
        ancestral_step(schedule, 5, x, prediction, v, noise, temperature) for temperature in (0, 1, 2)
    )
    assert torch.allclose(hot - mean, 2 * (warm - mean), atol=1e-6)
    assert torch.equal(
        ancestral_step(schedule, 0, x, prediction, v, noise, 1.0),
        ancestral_step(schedule, 0, x, prediction, v, 0 * x, 1.0),
    )
