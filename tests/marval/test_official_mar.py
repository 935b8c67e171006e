"""Our MAR against numbers recorded from the public implementation: networks to 1e-5, whole images to 1e-4."""

import torch

from marval.masking.orders import first_masked
from marval.models.official import from_official, to_official
from marval.models.transformer import sorted_positions
from marval.noise.conversions import diffuse
from marval.noise.schedule import NoiseSchedule, cosine_alphas_cumprod
from marval.objectives.diffusion import diffusion_loss
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import DiffusionChain

STEPS = 25


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).norm() / theirs.norm()).item()


def test_schedule_tables(recorded):
    schedule = NoiseSchedule.respaced(STEPS)
    assert torch.allclose(
        torch.from_numpy(cosine_alphas_cumprod()), recorded["schedule/alphas_cumprod"], rtol=1e-12, atol=0
    )
    assert torch.equal(schedule.timesteps, recorded["schedule/timesteps"])
    expected = recorded["schedule/posterior_log_variance_clipped"].float()
    assert torch.allclose(schedule.posterior_log_variance, expected, rtol=1e-6, atol=0)


def test_encoder_and_decoder(official_mar, recorded):
    masked = recorded["mask"].bool()
    known = sorted_positions(masked.logical_not(), 9)
    condition = official_mar.class_condition(recorded["labels"])
    assert relative(official_mar.encode(recorded["tokens"], known, condition), recorded["encoder"]) < 1e-5
    assert relative(official_mar(recorded["tokens"], masked, condition, 27), recorded["decoder"]) < 1e-5
    null = official_mar.null_condition(3)
    assert relative(official_mar(recorded["tokens"], masked, null, 27), recorded["decoder_null"]) < 1e-5


def test_masks_follow_the_orders(recorded):
    assert torch.equal(first_masked(recorded["orders"], 27), recorded["mask"].bool())


def test_diffusion_loss(official_mar, recorded):
    schedule = NoiseSchedule.full()
    t, noise = recorded["train/t"], recorded["train/noise"]
    x0 = recorded["tokens"].reshape(-1, 4)
    x_t = diffuse(x0, noise, schedule.alpha[t][:, None], schedule.sigma[t][:, None])
    assert relative(x_t, recorded["train/x_t"]) < 1e-6
    z = recorded["decoder"].reshape(-1, 32)
    output = official_mar.head(recorded["train/x_t"], t, z)
    assert relative(output, recorded["train/head_output"]) < 1e-5
    mse, vlb = diffusion_loss(output, x0, x_t, noise, t, schedule)
    assert relative(mse, recorded["train/mse"]) < 1e-5
    assert relative(vlb, recorded["train/vb"]) < 1e-4
    mask = recorded["mask"].reshape(-1)
    mean = ((mse + vlb) * mask).sum() / mask.sum()
    assert abs(mean / recorded["train/masked_mean"] - 1) < 1e-5


def test_inner_chain(official_mar, recorded):
    chain = DiffusionChain(NoiseSchedule.respaced(STEPS))
    z, start, steps = (recorded[f"chain/{k}"] for k in ("condition", "noise_start", "noise_steps"))
    assert relative(chain(official_mar.head, z, None, 1.0, start, steps), recorded["chain/x0"]) < 1e-4


def test_inner_chain_with_guidance_and_temperature(official_mar, recorded):
    chain = DiffusionChain(NoiseSchedule.respaced(STEPS), temperature=0.9)
    z, z_null = recorded["chain_guided/condition"].chunk(2)
    # the published sampler draws noise for both branches and keeps the conditional one's
    start, steps = recorded["chain_guided/noise_start"], recorded["chain_guided/noise_steps"][:, :5]
    ours = chain(official_mar.head, z, z_null, 2.5, start, steps)
    assert relative(ours, recorded["chain_guided/x0"][:5]) < 1e-4


def test_whole_guided_images(official_mar, recorded, recorded_draws):
    chain = DiffusionChain(NoiseSchedule.respaced(STEPS))
    tokens = sample_tokens(official_mar, chain, recorded["labels"], recorded_draws, 6, guidance=2.0)
    latents = tokens.transpose(1, 2).reshape(3, 4, 6, 6)
    assert relative(latents, recorded["image/latents"]) < 1e-4


def test_names_convert_both_ways(official_mar):
    ours = dict(official_mar.state_dict())
    theirs = to_official(ours)
    assert any(name.startswith("diffloss.net.") for name in theirs)
    back = from_official(theirs)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], value) for name, value in ours.items())
