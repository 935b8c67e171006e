"""Stage `prepare`: the data set as arrays."""

from marval.artifacts import write_json, write_npz
from marval.data.digits import NAMES, load_digits_split
from marval.stages.context import Context


def run(context: Context) -> None:
    """Write the train and test images (ADM's convention: arr_0 images, arr_1 labels) and the class names."""
    train, test, half = load_digits_split(context.preset.prepare)
    write_npz(context.output("train.npz"), arr_0=train.images, arr_1=train.labels, half=half)
    write_npz(context.output("test.npz"), arr_0=test.images, arr_1=test.labels)
    write_json(context.output("classes.json"), NAMES)
