"""Stage `prepare`: which images there are, which of them are held out, and what their classes are called."""

from marval.artifacts import write_json, write_npz
from marval.data.digits import NAMES, DigitsConfig, load_digits_split
from marval.data.preparation import prepare_files
from marval.pipeline.run import Context


def run(context: Context) -> None:
    """Write the training images or their index, the held-out images (ADM's convention: arr_0, arr_1 labels), the names."""
    config = context.preset.prepare
    if isinstance(config, DigitsConfig):
        _prepare_digits(context, config)
    else:
        prepare_files(config, context.files.data, context.checkpoints, context.label)


def _prepare_digits(context: Context, config: DigitsConfig) -> None:
    train, test, half = load_digits_split(config)
    write_npz(context.output("data/train.npz"), arr_0=train.images, arr_1=train.labels, half=half)
    write_npz(context.output(context.files.held_out), arr_0=test.images, arr_1=test.labels)
    write_json(context.output(context.files.class_names), NAMES)
