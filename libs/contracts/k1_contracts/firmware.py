"""Which of two firmwares is newer: the precedence of semantic versions (semver.org 2.0.0, section 11). Pure."""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

from typing_extensions import override

_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.+-]*?))?(?:\+.*)?", re.ASCII)


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class FirmwareVersion:
    """Compares by precedence; what follows a `+` counts for nothing."""

    numbers: tuple[int, int, int]
    pre_release: tuple[str, ...] = ()
    """Identifiers such as `rc`, `1`; a release has none and is newer than its pre-releases."""

    @classmethod
    def parse(cls, text: str) -> "FirmwareVersion":
        """Read a version such as `2.1.0` or `2.1.0-rc.1+b7`.

        Raises:
            ValueError: it is none.
        """
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no version: three numbers were expected, such as 2.1.0")
        major, minor, patch, pre_release = match.groups()
        identifiers = tuple(pre_release.split(".")) if pre_release else ()
        return cls((int(major), int(minor), int(patch)), identifiers)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, FirmwareVersion) and self._key == other._key

    def __lt__(self, other: "FirmwareVersion") -> bool:
        return self._key < other._key

    @override
    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        # Numbers rank below words, and compare as numbers; more identifiers rank above fewer.
        ranked = tuple((0, int(i), "") if _is_number(i) else (1, 0, i) for i in self.pre_release)
        return self.numbers, not self.pre_release, ranked


def _is_number(identifier: str) -> bool:
    return identifier.isascii() and identifier.isdigit()
