"""The error that is a message to the user."""


class UserError(ValueError):
    """One line for the person at the terminal: what is wrong, where, and what to do. The command line exits with status 2."""
