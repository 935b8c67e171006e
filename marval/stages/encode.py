"""Stage `encode`: cache the normalised latents of the training images."""

import torch

from marval.artifacts import read_npz, write_json
from marval.data.latents import LatentBatches
from marval.models.tokenizer import Tokenizer, from_bytes
from marval.stages.context import Context
from marval.stages.models import load_autoencoder

BATCH = 256


@torch.no_grad()
def run(context: Context) -> None:
    """Write posterior moments, and the channel statistics that normalise them to zero mean and unit deviation."""
    data = read_npz(context.results / "data/train.npz")
    images = from_bytes(torch.from_numpy(data["arr_0"]))
    config, autoencoder = load_autoencoder(context.results)
    channels = config.latent_channels
    plain = Tokenizer(config, autoencoder, torch.zeros(channels), torch.ones(channels))
    moments = torch.cat([plain.encode_moments(batch) for batch in images.split(BATCH)])
    mean, std = moments[:, :channels], moments[:, channels:]
    centre = mean.mean(dim=(0, 2, 3))
    # total deviation of a drawn latent: spread of the posterior means and the posteriors' own width
    spread = ((mean - centre.view(1, -1, 1, 1)).square() + std.square()).mean(dim=(0, 2, 3)).sqrt()
    scale = spread.view(1, -1, 1, 1)
    normalised = torch.cat([(mean - centre.view(1, -1, 1, 1)) / scale, std / scale], dim=1)
    LatentBatches(normalised, torch.from_numpy(data["arr_1"])).save(context.output("train.safetensors"))
    write_json(context.output("normaliser.json"), {"mean": centre.tolist(), "std": spread.tolist()})
