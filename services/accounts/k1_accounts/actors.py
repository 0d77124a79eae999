"""Says whose account a message is about: that of its actor."""

from k1_accounts.errors import no_account
from k1_contracts.actors import Actor
from k1_platform.nats.actors import current_actor


def require_account() -> Actor:
    """Return the actor: a user, or the API key of one, whose `id` is that of the user.

    Raises:
        QueryError: `no_account` (403): a machine, a service, or nobody is signed in.
    """
    actor = current_actor()
    if actor is None or actor.kind not in ("user", "key"):
        raise no_account()
    return actor


def require_person() -> Actor:
    """Return the actor if it is a signed-in user; what a key may do ends with its own role.

    Raises:
        QueryError: `no_account` (403).
    """
    actor = require_account()
    if actor.kind != "user":
        raise no_account()
    return actor
