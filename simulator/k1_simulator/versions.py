"""Which of two semantic versions is the newer (https://semver.org, section 11)."""

_Identifier = tuple[int, int, str]


def at_least(version: str, needed: str) -> bool:
    """Whether `version` is `needed` or newer; build numbers after `+` do not count."""
    return _order(version) >= _order(needed)


def _order(version: str) -> tuple[list[int], bool, list[_Identifier]]:
    core, _, pre_release = version.split("+", 1)[0].partition("-")
    identifiers = [_identifier(part) for part in pre_release.split(".")] if pre_release else []
    return [int(part) for part in core.split(".")], not pre_release, identifiers


def _identifier(part: str) -> _Identifier:
    """Numbers come before words."""
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)
