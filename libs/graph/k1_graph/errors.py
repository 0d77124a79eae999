"""Defines the exceptions of the graph library."""

from k1_contracts.graph import GraphValidation


class GraphError(Exception):
    """Base class of the errors of this package."""


class GraphInvalidError(GraphError):
    """A graph document breaks rules; `validation` lists all violations."""

    def __init__(self, validation: GraphValidation) -> None:
        first = next(v for v in validation.violations if v.severity == "error")
        more = f" (and {validation.errors - 1} more)" if validation.errors > 1 else ""
        super().__init__(f"{first.message}{more}. {first.fix}")
        self.validation = validation


class MapUnusableError(GraphError):
    """A Genesis map cannot be used for a show."""


class BundleError(GraphError):
    """A bundle cannot be built, read or trusted."""


class UnknownKeyError(BundleError):
    """The bundle's signing key is not trusted."""
