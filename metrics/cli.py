"""The command line of `metrics`. What a command needs is imported when it runs: help and version take no torch."""

import argparse

from console import command_parser, with_examples
from metrics.errors import UserError, reason

EXAMPLES = """
metrics statistics photos/ --judge inception.pth -o real.npz
metrics evaluate samples.npz --reference real.npz --judge inception.pth -o a.json
metrics compare a.json b.json
metrics calibrate
"""
EVALUATE_EXAMPLES = """
metrics evaluate samples/ --reference real.npz --judge judges/cnn.json --scorer judge=judges/clip.json
metrics evaluate samples.npz --reference adm.npz --judge inception.pth --scorer clip-l=ViT-L-14.pt --classes names.json
"""
CALIBRATE_EXAMPLES = """
metrics calibrate
metrics calibrate --adm-batch batch.npz --adm-reference statistics.npz --inception inception.pth
"""

JUDGE_HELP = "a judge's .json, or the .pth with torch-fidelity's Inception weights"
SCORERS_HELP = (
    "repeatable: judge=JUDGE.json, clip-l=WEIGHTS (ViT-L/14), clip-b=WEIGHTS (ViT-B/32), image-reward=FOLDER, "
    "pick-score=FOLDER"
)
ORDER_HELP = (
    "order of the images in the inception score's splits: torch-fidelity's shuffle, or as given (ADM)"
)
STATISTICS_HELP = """\
Reference statistics of real images. IMAGES is one of

  FILE.npz              arr_0: uint8 N x H x W x 3, arr_1: labels
  FOLDER                of images, with class folders or without
  FOLDER, FOLDER:SPLIT  saved by `datasets`: save_to_disk, or parquet files
  hf:NAME:SPLIT         streamed from the hub, or from its cache; hf:NAME@CONFIG:SPLIT

Of a data set, the one column of images and the finest column of class labels are used. Images are read and
judged in batches, so any number of them fits into memory. Damaged ones are left out, named and counted.
"""


def run(arguments: list[str]) -> int:
    """Parse and run; returns the exit status. UserError is for the caller to print."""
    options = parser().parse_args(arguments)
    if "device" in options:
        _check_device(options.device)
    from metrics import commands

    status: int = getattr(commands, options.command)(options)
    return status


def _check_device(name: str) -> None:
    """UserError for a device that there is not."""
    import torch

    try:
        torch.zeros(1, device=name)
    except Exception as error:  # of a driver, of CUDA, of torch: many kinds
        raise UserError(
            f"--device {name!r} cannot be used ({reason(error)}): give cpu, or cuda where there is a GPU"
        ) from error


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    top = command_parser("metrics", "Score batches of generated images.", EXAMPLES)
    adders = top.add_subparsers(required=True, metavar="COMMAND")
    _add_evaluate(adders)
    _add_compare(adders)
    _add_calibrate(adders)
    _add_statistics(adders)
    return top


def _add_evaluate(adders: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "score an npz batch (arr_0, arr_1) or a folder of images"
    parser = adders.add_parser("evaluate", help=text, description=text, **with_examples(EVALUATE_EXAMPLES))
    parser.add_argument("samples", metavar="SAMPLES", help="for example results/digits/samples/marval.npz")
    parser.add_argument(
        "--reference", required=True, metavar="STATS", help="statistics npz: own, ADM's or MAR's"
    )
    parser.add_argument("--judge", required=True, metavar="FILE", help=JUDGE_HELP)
    parser.add_argument("--scorer", action="append", default=[], metavar="KIND=PATH", help=SCORERS_HELP)
    parser.add_argument(
        "--classes", metavar="JSON", help="list of class names by index, for the published scorers"
    )
    parser.add_argument(
        "--template",
        help="prompt with {} for the class name (default: that of the paper's reward fine-tuning)",
    )
    parser.add_argument(
        "--order", choices=["shuffled-2020", "as-given"], default="shuffled-2020", help=ORDER_HELP
    )
    parser.add_argument(
        "--crop",
        metavar="TEXT",
        help="how the reference's images were cropped, where its file does not tell; recorded in the protocol",
    )
    parser.add_argument("--cache", metavar="FOLDER", help="keep features there, by content")
    parser.add_argument(
        "-o", "--output", metavar="JSON", help="result file; the scores of each image go beside it"
    )
    _add_device(parser)
    parser.set_defaults(command="score")


def _add_compare(adders: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "differences of two result files, B - A, with intervals"
    parser = adders.add_parser("compare", help=text, description=text)
    parser.add_argument(
        "a", metavar="A", help="written by `metrics evaluate -o`, or results/PRESET/metrics/VARIANT.json"
    )
    parser.add_argument("b", metavar="B", help="likewise, by the same judge and protocol")
    parser.set_defaults(command="compare")


def _add_calibrate(adders: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "check against known answers; needs no file"
    parser = adders.add_parser("calibrate", help=text, description=text, **with_examples(CALIBRATE_EXAMPLES))
    parser.add_argument("--adm-batch", metavar="NPZ", help="admnet_guided_upsampled_imagenet256.npz")
    parser.add_argument("--adm-reference", metavar="NPZ", help="VIRTUAL_imagenet256_labeled.npz")
    parser.add_argument("--inception", metavar="PTH", help="torch-fidelity's Inception weights")
    _add_device(parser)
    parser.set_defaults(command="calibrate")


def _add_statistics(adders: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = adders.add_parser(
        "statistics",
        help="make reference statistics of real images: a batch, a folder or a data set",
        description=STATISTICS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", metavar="IMAGES")
    parser.add_argument("--judge", required=True, metavar="FILE", help=JUDGE_HELP)
    parser.add_argument("-o", "--output", required=True, metavar="NPZ", help="file of statistics to write")
    parser.add_argument(
        "--crop",
        type=int,
        metavar="SIZE",
        help="make images RGB and cut out their middle as ADM does, SIZE x SIZE pixels; recorded in the file. "
        "Without it, all images must be RGB and of one size",
    )
    parser.add_argument(
        "--keep",
        type=int,
        metavar="N",
        help="keep the features of N images, drawn evenly, for precision, recall and kernel distance "
        "(default: as many as ADM's file has images)",
    )
    _add_device(parser)
    parser.set_defaults(command="statistics")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="torch device of the networks (default: %(default)s)")
