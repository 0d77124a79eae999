"""What a command says when it cannot do its work."""


class CommandError(Exception):
    """One clear sentence for the person at the terminal: what, where, and what to do."""


class ExplainedError(CommandError):
    """The sentence says already what to do next and where to look further; nothing is added to it."""
