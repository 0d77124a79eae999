"""Errors that a command reports to the person at the terminal."""


class CommandError(Exception):
    """A command failed. The message is one sentence: what is wrong, where, and what to do."""


class ExplainedError(CommandError):
    """A command failed, and the message already says what to do next; nothing is added to it."""
