"""What can go wrong with a graph or a bundle."""

from k1_contracts.graph import GraphValidation


class GraphError(Exception):
    """Base of this package's errors."""


class GraphInvalidError(GraphError):
    """A document breaks rules; `validation` lists all of them."""

    def __init__(self, validation: GraphValidation) -> None:
        first = next(v for v in validation.violations if v.severity == "error")
        more = f" (and {validation.errors - 1} more)" if validation.errors > 1 else ""
        super().__init__(f"{first.message}{more}. {first.fix}")
        self.validation = validation


class MapUnusableError(GraphError):
    """A Genesis map that no show can be run over."""


class BundleError(GraphError):
    """A bundle that cannot be built, read or trusted."""


class UnknownKeyError(BundleError):
    """A bundle that was signed with a key that is not trusted."""
