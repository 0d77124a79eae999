"""What can go wrong with the embedded servers, each with a sentence for the person who ran the command."""


class StackError(Exception):
    """A server could not be prepared, started or stopped."""


class HomeInUseError(StackError):
    """Another process runs a stack on the same home folder."""
