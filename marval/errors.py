"""The error that is a message to the user."""


class UserError(ValueError):
    """One line for the person at the terminal: what is wrong, where (file, key, value), and what to do.

    The command line prints it without a traceback and exits with status 2. Everything else that is raised is our own bug.
    """
