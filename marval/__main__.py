"""`marval STAGE PRESET [--variant NAME] [--seed N]` runs a stage of dvc.yaml; other commands prepare and tell."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from console import STATUS_INTERRUPTED, command_parser, fail, with_examples
from marval.errors import UserError, is_out_of_memory, of_files
from marval.processes import sigterm, warm, workers

EXAMPLES = """
marval activate digits-rivals                 # snakemake and dvc repro run it from now on
marval plan imagenet256-base --gpu A100       # what that would cost
marval weights imagenet256-base               # fetch the published files that it starts from
marval sample digits --variant marval         # one stage, as dvc.yaml runs it
"""
PLAN_EXAMPLES = """
marval plan                                   # the active presets
marval plan imagenet256-large --gpus 8 --utilisation 0.2
"""
# what a stage holds at a time follows from these settings
OF_MEMORY = {
    "tokenizer": "tokenizer.batch",
    "encode": "encode.batch",
    "teacher": "teacher.scale.micro_batch",
    "distill": "distill.training.scale.micro_batch",
    "reinforce": "reinforce.training.scale.micro_batch",
    "sample": "sample.batch",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    typed = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    if typed and (elsewhere := _code_is_elsewhere()):
        return fail("marval", elsewhere)
    if options.command == "warm":
        warm.serve(options.socket, main, options.parent)
    if workers.checkpoints_of_parent():
        return _work(options, arguments)
    delegated = None if workers.is_one_of_several() else warm.delegate(arguments)
    return run(options, arguments) if delegated is None else delegated


def _code_is_elsewhere() -> str:
    """What is wrong where this folder is a checkout and its code is not what runs: stages would record code that has not run."""
    here, running = Path("marval").resolve(), Path(__file__).resolve().parent
    if not Path("dvc.yaml").is_file() or here == running:
        return ""
    return f"{Path.cwd()} is a checkout, but the code that runs is {running}: run `python -m marval` here"


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
        if (message := _message(error, options)) is None:
            raise
        return fail("marval", message, workers.STATUS_USER_ERROR)
    return 0


def _work(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Do one process's part of a stage; the command that started it hears of a failure and speaks of it."""
    workers.die_with_parent()
    try:
        _dispatch(options, arguments)
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    except Exception as error:
        message = _message(error, options)
        workers.tell_parent(error if message is None else UserError(message))
        return 1 if message is None else workers.STATUS_USER_ERROR
    return 0


def _message(error: Exception, options: argparse.Namespace) -> str | None:
    """The one line about what a person can mend; None of our own bugs."""
    from metrics.errors import UserError as MetricsError

    if isinstance(error, (UserError, MetricsError)):
        return str(error)
    if is_out_of_memory(error):
        return f"{options.command}: out of memory ({_first_line(error)}): {_less_memory(options)}"
    return of_files(error) if isinstance(error, OSError) else None


def _first_line(error: Exception) -> str:
    words = (str(error) or "of the host").rpartition("DefaultCPUAllocator: ")[
        2
    ]  # before it, the line of torch's own source
    return words.splitlines()[0].split(". ")[0]


def _less_memory(options: argparse.Namespace) -> str:
    """Which setting a stage's memory follows."""
    setting = OF_MEMORY.get(options.command)
    if setting is None:
        return "run it where more is free"
    also = ", or set activation_checkpointing beside it" if setting.endswith("micro_batch") else ""
    return f"lower {setting} in the preset {options.preset}{also}; finished work is kept"


def _runs(options: argparse.Namespace) -> None:
    from marval.pipeline import items

    items.check(options.check) if options.check else items.refresh()


def _activate(options: argparse.Namespace) -> None:
    from marval.pipeline import items

    items.activate(options.presets)


def _settings(options: argparse.Namespace) -> None:
    from marval.pipeline import items
    from marval.stages.settings import write_settings

    items.active_presets()  # all stages wait for this one: a setting that is lost in params.yaml is named before they run
    write_settings(options.preset)


def _weights(options: argparse.Namespace) -> None:
    from marval.pipeline.preset import load_preset
    from marval.weights.preset import fetch_named

    fetch_named(options.preset, load_preset(options.preset).published_files)


def _plan(options: argparse.Namespace) -> None:
    from marval.plan.command import plan
    from marval.plan.hardware import Hardware

    print(plan(options.presets, Hardware(options.gpu, options.utilisation, options.gpus)))


def _checkpoints(options: argparse.Namespace) -> None:
    from marval.pipeline import leftovers

    for line in leftovers.report(options.remove):
        print(line)


def _code(options: argparse.Namespace) -> None:
    from marval.pipeline.closure import write_lists

    write_lists()


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    top = command_parser("marval", __doc__ or "", EXAMPLES)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, handler: Callable[..., None] | None, text: str, **more: Any
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, **more)
        added.set_defaults(handler=handler)
        return added

    runs = command("runs", _runs, "write workflow/runs.yaml from params.yaml and the presets")
    runs.add_argument(
        "--check", type=Path, metavar="COPY", help="fail if it is stale; else write a JSON copy"
    )
    activate = command("activate", _activate, "make these the active presets, in params.yaml")
    activate.add_argument("presets", nargs="+", metavar="PRESET")
    settings = command(
        "settings", _settings, "write the resolved settings of a preset, which its stages read"
    )
    settings.add_argument("preset", metavar="PRESET")
    checkpoints = command(
        "checkpoints",
        _checkpoints,
        "list what interrupted stages have left in runs/, and what of it is orphaned",
    )
    checkpoints.add_argument("--remove", action="store_true", help="delete what no stage will take up again")
    command("code", _code, "write which code each stage depends on, results/code/")
    server = command("warm", None, "serve stage commands from a process with the packages imported")
    server.add_argument("socket", type=Path)
    server.add_argument("parent", type=int, help="the process that starts it, with which it ends")
    files = command("weights", _weights, "fetch and check the published files of a preset")
    files.add_argument("preset", metavar="PRESET")
    plan = command(
        "plan",
        _plan,
        "what presets would take: GPU-hours, memory, disk; by default the active ones",
        **with_examples(PLAN_EXAMPLES),
    )
    plan.add_argument("presets", nargs="*", metavar="PRESET")
    plan.add_argument(
        "--gpu",
        default="H100",
        metavar="NAME",
        help="what to estimate for: H200, H100, A100, A800, L40S, A6000, 4090 or 3090 (default: %(default)s)",
    )
    plan.add_argument(
        "--utilisation",
        type=float,
        metavar="SHARE",
        help="of its rate that the stages reach (default: as the preset's stage speed measured, or 0.17)",
    )
    plan.add_argument(
        "--gpus", type=int, metavar="N", help="for the wall time (default: as many as a stage may use)"
    )
    for stage, purpose in _programs().items():
        added = command(stage, None, f"stage: {purpose}")
        added.add_argument("preset", metavar="PRESET")
        added.add_argument(
            "--variant",
            metavar="NAME",
            help="of the preset; for stages that dvc.yaml has once for each variant",
        )
        added.add_argument("--seed", type=int, metavar="N", help="likewise, where a stage is one training")
    return top


def _programs() -> dict[str, str]:
    """Stages that have a program of their own, and what each does."""
    programs = sorted(Path(__file__).with_name("stages").glob("*.py"))
    return {path.stem: _purpose(path) for path in programs if path.stem not in ("__init__", "settings")}


def _purpose(program: Path) -> str:
    """From the first line of its docstring, "Stage `name`: what it does.", without importing it."""
    first = program.read_text().partition("\n")[0]
    return first.strip('"').partition(": ")[2].rstrip(".").replace("%", "%%")


def _dispatch(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    if not Path("dvc.yaml").is_file():
        raise UserError(f"{Path.cwd()} has no dvc.yaml: run this from the root of the repository")
    if options.handler is not None:
        options.handler(options)
        return
    key = {name: value for name in ("variant", "seed") if (value := getattr(options, name)) is not None}
    _run_stage(importlib.import_module(f"marval.stages.{options.command}"), options, key, arguments)


def _run_stage(
    program: ModuleType, options: argparse.Namespace, key: dict[str, Any], arguments: Sequence[str]
) -> None:
    """Run the program of a stage: alone, as one of several processes, or in as many as share its work."""
    from marval.pipeline.graph import find_stage
    from marval.pipeline.preset import stage_processes
    from marval.pipeline.run import stage_run, stage_share
    from marval.processes.group import here, leave

    if workers.is_one_of_several() and not hasattr(program, "parallelism"):
        raise UserError(
            f"{options.command} cannot share its work: run it in one process, without torchrun or accelerate launch"
        )
    stage = find_stage(options.command, options.preset, **key)
    checkpoints = workers.checkpoints_of_parent()
    if checkpoints or not here().is_first:
        with stage_share(stage, checkpoints) as context:
            program.run(context, **key)
        leave()
        return
    sigterm.take_as_ctrl_c()  # the seconds until then are noted beside the checkpoints
    with stage_run(stage) as context:
        shared = stage_processes(context.settings, options.command)
        processes = workers.wanted(shared) if hasattr(program, "parallelism") else 1
        if processes > 1:
            processes = min(processes, program.parallelism(context, **key))
        if processes > 1:
            workers.run(["-m", "marval", *arguments], processes, context.checkpoints)
        else:
            program.run(context, **key)
    leave()


if __name__ == "__main__":
    sys.exit(main())
