"""From result files to verdicts: claims, tables, figures and one self-contained page.

This package reads what the stages left in `results/PRESET/` and nothing else: it runs no model and scores no image.
Each number in a report can therefore be traced to a file, and a report can be made again anywhere from the files alone.

    python -m reports PRESET                     claims.json, tables/, figures/ and report.html in results/PRESET
    python -m reports compare results/A results/B -o FILE
    python -m reports index                      results/index.html
"""

from reports.errors import UserError

__all__ = ["UserError"]
