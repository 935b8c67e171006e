"""Stage `settings`: the preset with its bases merged in and every default filled in, which all other stages read.

It stands outside the record-keeping of the others: what it leaves is the settings themselves.
"""

from marval.artifacts import write_json
from marval.pipeline.files import settings_path
from marval.pipeline.preset import load_preset, resolved_settings


def write_settings(preset: str) -> None:
    """Write results/PRESET/settings.json."""
    write_json(settings_path(preset), resolved_settings(load_preset(preset)))
