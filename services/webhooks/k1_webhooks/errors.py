"""The errors of the webhooks service that its callers see."""

from http import HTTPStatus

from k1_platform.nats.queries.rpc import QueryError


def webhook_not_found(webhook_id: str) -> QueryError:
    return QueryError("webhook_not_found", f"There is no webhook {webhook_id}.", HTTPStatus.NOT_FOUND)


def delivery_not_found(delivery_id: str) -> QueryError:
    message = f"There is no delivery {delivery_id}; ended ones are kept for a set time."
    return QueryError("delivery_not_found", message, HTTPStatus.NOT_FOUND)


def url_not_allowed(reason: str) -> QueryError:
    return QueryError("url_not_allowed", reason, HTTPStatus.UNPROCESSABLE_ENTITY)


def delivery_pending(delivery_id: str) -> QueryError:
    message = f"Delivery {delivery_id} is still being tried; only one that has ended can be sent again."
    return QueryError("delivery_pending", message, HTTPStatus.CONFLICT)


def too_many_webhooks(limit: int) -> QueryError:
    message = f"There are {limit} webhooks already; remove one first."
    return QueryError("too_many_webhooks", message, HTTPStatus.CONFLICT)
