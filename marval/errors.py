"""The error that is a message to the user."""

import difflib
from collections.abc import Collection


class UserError(ValueError):
    """One line for the person at the terminal: what is wrong, where (file, key, value), and what to do.

    The command line prints it without a traceback and exits with status 2. Everything else that is raised is our own bug.
    """


def nearest(name: str, valid: Collection[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, or all of them."""
    match = difflib.get_close_matches(name, valid, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; valid: {', '.join(sorted(valid))}"
