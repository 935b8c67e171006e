"""Stage `prepare`: which images there are, which of them are held out, and what their classes are called."""

from marval.stages.context import Context


def run(context: Context) -> None:
    """Write the training images or their index, the held-out images (ADM's convention: arr_0, arr_1 labels), the names."""
    folder = context.output("classes.json").parent
    context.preset.prepare.prepare(folder, context.checkpoints, context.label)
