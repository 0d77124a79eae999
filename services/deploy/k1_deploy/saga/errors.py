"""What cannot happen, told where it would."""


class IllegalTransitionError(Exception):
    """An entry that cannot follow on the state before it: the log, or who writes it, is wrong."""
