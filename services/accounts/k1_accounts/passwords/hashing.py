"""Hashes passwords with Argon2id in threads, a few at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from k1_accounts.errors import busy
from k1_platform.processes.threads import P, R, in_executor

_MOST_WAITING: Final = 100
"""Hashing takes processor time and memory on purpose: a flood of sign-ins must not take all."""


def standard_argon2() -> Argon2:
    """Return Argon2id with the second choice of RFC 9106: 64 MiB, 3 passes, 4 lanes."""
    return Argon2.from_parameters(RFC_9106_LOW_MEMORY)


@dataclass(slots=True)
class PasswordHasher:
    """Hashes and verifies; each call takes the same time whether there is a password or not."""

    argon2: Argon2
    executor: ThreadPoolExecutor
    _nobody: str = field(init=False)
    """A hash to verify against where there is no account."""
    _waiting: int = 0

    def __post_init__(self) -> None:
        self._nobody = self.argon2.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Return the hash of a new password.

        Raises:
            QueryError: `service_unavailable` (503): too many wait already.
        """
        return await self._run(self.argon2.hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Return whether the password is right; never without a hash, after the same time.

        Raises:
            QueryError: `service_unavailable` (503): too many wait already.
        """
        is_right = await self._run(self._verify, hashed or self._nobody, password)
        return is_right and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Return whether a hash was made with other parameters than those of today."""
        return self.argon2.check_needs_rehash(hashed)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self.argon2.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._waiting >= _MOST_WAITING:
            raise busy()
        self._waiting += 1
        try:
            return await in_executor(self.executor, function, *args, **kwargs)
        finally:
            self._waiting -= 1
