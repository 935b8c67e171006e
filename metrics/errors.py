"""The one exception whose message is meant for the user."""


class UserError(ValueError):
    """Wrong input or settings. The message is one line: what is wrong, where, and what to do about it."""
