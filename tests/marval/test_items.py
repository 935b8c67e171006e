"""From the active presets to the lists that dvc.yaml goes over."""

import pytest
from spoiling import spoil

from marval.errors import UserError
from marval.pipeline import items
from marval.pipeline.preset import load_preset


def test_lists_in_the_repository_are_fresh(root, monkeypatch):
    monkeypatch.chdir(root)
    assert items.RUNS.read_text() == items.render()


@pytest.mark.parametrize("content", ["preset: [smoke]", "presets: smoke", "presets: []", ""])
def test_active_presets_must_be_a_list(folder, content):
    (folder / "params.yaml").write_text(content)
    with pytest.raises(UserError, match=r"params\.yaml: presets must be a list of names"):
        items.active_presets()


def test_a_setting_that_lands_in_params_is_refused_and_its_place_named(folder):
    """Where `dvc exp run -S` puts one that comes without a file."""
    (folder / "params.yaml").write_text("presets: [smoke]\nteacher: {steps: 3}\n")
    with pytest.raises(
        UserError, match=r"params\.yaml has 'teacher' .* -S workflow/presets/NAME\.yaml:SECTION\.KEY=VALUE"
    ):
        items.active_presets()


def test_lists_follow_variants_and_seeds(folder):
    path = folder / "workflow/presets/smoke.yaml"
    spoil(path, "seeds: [0]", "seeds: [0, 1]")
    lists = items.expand(["smoke"])
    assert set(lists["teachers"]) == {"smoke-0", "smoke-1"}
    assert set(lists["students"]) == {"smoke-marval-0", "smoke-marval-1"}
    assert "smoke-real" in lists["scored"]
    assert len(lists["variants"]) == len(load_preset("smoke").variants)
    items.refresh()
    written = items.RUNS.stat().st_mtime_ns
    assert items.RUNS.read_text() == items.render()
    items.refresh()
    assert items.RUNS.stat().st_mtime_ns == written  # fresh lists are not written again
    spoil(path, "seeds: [0, 1]", "seeds: [0]")
    with pytest.raises(UserError, match="python -m marval runs"):
        items.check(folder / "copy.json")


def test_activating_a_preset_keeps_the_rest_of_the_file(folder):
    (folder / "params.yaml").write_text("# why\npresets:\n  - smoke\n  - digits\n# and this\n")
    items.activate(["digits-full"])
    assert (folder / "params.yaml").read_text() == "# why\npresets:\n  - digits-full\n# and this\n"
    assert items.RUNS.read_text() == items.render()
    with pytest.raises(UserError, match="did you mean 'digits'"):
        items.activate(["digit"])
    assert items.active_presets() == ["digits-full"]
