"""The error of the saga."""


class IllegalTransitionError(Exception):
    """The entry is illegal in this state: the log, or its writer, is wrong."""
