"""The commands that `dvc.yaml` runs: `python -m marval STAGE PRESET [--variant NAME] [--seed N]`."""

from __future__ import annotations

import argparse
import errno
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from marval import warm, workers
from marval.errors import UserError

STAGES = (
    "calibrate",
    "showcase",
    "prepare",
    "tokenizer",
    "encode",
    "judges",
    "teacher",
    "distill",
    "reinforce",
    "sample",
    "evaluate",
    "speed",
    "latency",
    "official",
    "published",
)
DISK_ERRORS = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again",
    errno.EACCES: "permission denied: make the folder writable for this user",
    errno.EPERM: "not permitted: make the folder writable for this user",
    errno.EROFS: "the file system is read-only: work in a writable copy",
    errno.ENOTDIR: "something that is not a folder is in the way: move it away",
    errno.EEXIST: "something that is not a folder is in the way: move it away",
}
STATUS_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    if options.command == "warm":
        warm.serve(options.socket, main)
    if workers.checkpoints_of_parent():
        return _work(options, arguments)
    delegated = None if workers.is_one_of_several() else warm.delegate(arguments)
    return run(options, arguments) if delegated is None else delegated


def run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run one command in this process, or in several that it starts."""
    try:
        _dispatch(options, arguments)
    except KeyboardInterrupt:
        print(
            f"\nmarval: {options.command}: interrupted; the same command goes on from the last checkpoint",
            file=sys.stderr,
        )
        return STATUS_INTERRUPTED
    except Exception as error:
        if (message := _message(error)) is None:
            raise
        print(f"marval: error: {message}", file=sys.stderr)
        return workers.STATUS_USER_ERROR
    return 0


def _work(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Do one process's part of a stage; the command that started it hears of a failure and speaks of it."""
    workers.die_with_parent()
    try:
        _dispatch(options, arguments)
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    except Exception as error:
        message = _message(error)
        workers.tell_parent(error if message is None else UserError(message))
        return 1 if message is None else workers.STATUS_USER_ERROR
    return 0


def _message(error: Exception) -> str | None:
    """The one line about what a person can mend; None of our own bugs."""
    from metrics.errors import UserError as MetricsError

    if isinstance(error, (UserError, MetricsError)):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return f"{error.filename or Path.cwd()}: {DISK_ERRORS[error.errno]}"
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m marval", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("runs", help="write workflow/runs.yaml from params.yaml and the presets")
    runs.add_argument(
        "--check", type=Path, metavar="COPY", help="fail if it is stale; else write a JSON copy"
    )
    activate = commands.add_parser("activate", help="make these the active presets, in params.yaml")
    activate.add_argument("presets", nargs="+", metavar="PRESET")
    server = commands.add_parser(
        "warm", help="serve stage commands from a process with the packages imported"
    )
    server.add_argument("socket", type=Path)
    files = commands.add_parser("weights", help="fetch and check the published files of a preset")
    files.add_argument("preset")
    plan = commands.add_parser(
        "plan", help="what presets would take: GPU-hours, memory, disk; by default the active ones"
    )
    plan.add_argument("presets", nargs="*", metavar="PRESET")
    plan.add_argument(
        "--gpu", default="H100", metavar="NAME", help="what to estimate for (default: %(default)s)"
    )
    plan.add_argument(
        "--utilisation", type=float, default=0.3, metavar="SHARE", help="of its rate (default: %(default)s)"
    )
    plan.add_argument(
        "--gpus", type=int, metavar="N", help="for the wall time (default: as many as a stage may use)"
    )
    for stage in STAGES:
        command = commands.add_parser(stage, help=f"run the stage {stage} of dvc.yaml")
        command.add_argument("preset")
        if stage in ("distill", "reinforce", "sample", "evaluate", "official"):
            command.add_argument("--variant", required=True)
        if stage in ("teacher", "distill", "reinforce"):
            command.add_argument("--seed", type=int, required=True)
    return parser


def _dispatch(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    if not Path("dvc.yaml").is_file():
        raise UserError(f"{Path.cwd()} has no dvc.yaml: run this from the root of the repository")
    if options.command == "weights":
        from marval.stages import weights

        weights.run(options.preset)
        return
    if options.command == "plan":
        from marval.plan.command import plan
        from marval.plan.hardware import Hardware

        print(plan(options.presets, Hardware(options.gpu, options.utilisation, options.gpus)))
        return
    if options.command in ("runs", "activate"):
        from marval.stages import grid

        if options.command == "activate":
            grid.activate(options.presets)
        elif options.check:
            grid.check(options.check)
        else:
            grid.refresh()
        return
    from marval.launch import here, leave
    from marval.stages.context import stage_run, stage_share

    stage = importlib.import_module(f"marval.stages.{options.command}")
    key = options.command, options.preset, getattr(options, "variant", None), getattr(options, "seed", None)
    told = workers.checkpoints_of_parent()
    if told or not here().is_first:
        with stage_share(*key, told) as context:
            stage.run(context)
        leave()
        return
    with stage_run(*key) as context:
        processes = workers.wanted() if hasattr(stage, "pieces") else 1
        if processes > 1:
            processes = min(processes, stage.pieces(context))
        if processes > 1:
            workers.run(["-m", "marval", *arguments], processes, context.checkpoints)
        else:
            stage.run(context)


if __name__ == "__main__":
    sys.exit(main())
