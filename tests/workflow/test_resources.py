"""Section `resources`: what each stage may use, and that it changes no result."""

import yaml

from marval.pipeline.items import STAGES
from marval.pipeline.resources import Resources


def test_every_stage_can_have_an_entry():
    assert set(Resources.model_fields) == {"default", *STAGES}


def test_an_entry_adds_to_the_default_what_it_gives_alone():
    resources = Resources.model_validate(
        {"default": {"gpus": 0, "memory_gb": 8}, "teacher": {"gpus": 8, "hours": 100}}
    )
    teacher, report = resources.of("teacher"), resources.of("report")
    assert (teacher.gpus, teacher.memory_gb, teacher.hours, teacher.cpus) == (8, 8, 100, None)
    assert (report.gpus, report.memory_gb, report.hours) == (0, 8, 1)
    assert resources.of("runs") == report


def test_resources_are_no_parameter_of_any_stage(root):
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    keys = {
        key
        for stage in stages.values()
        for entry in stage.get("do", stage).get("params", [])
        for named in entry.values()
        for key in named
    }
    assert keys
    assert not any(key.split(".")[0] == "resources" for key in keys)
