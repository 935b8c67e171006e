"""Stage `prepare`: which images there are, which of them are held out, and what their classes are called."""

from marval.data.sources import PrepareConfig
from marval.pipeline.run import Context


def run(context: Context) -> None:
    """Write the training images or their index, the held-out images (ADM's convention: arr_0, arr_1 labels), the names."""
    source: PrepareConfig = context.preset.prepare
    source.prepare(context.files.data, context.checkpoints, context.label)
