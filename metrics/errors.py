"""The one exception whose message is meant for the user, and the reason of any other in a few words."""

LONGEST = 160  # characters of a reason


class UserError(ValueError):
    """Wrong input or settings. The message is one line: what is wrong, where, and what to do about it."""


def reason(error: BaseException) -> str:
    """What an error says, on one line; its kind where it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
