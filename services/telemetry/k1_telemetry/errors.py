"""The errors of the telemetry service that its callers see."""

from http import HTTPStatus

from k1_platform.nats.queries.rpc import QueryError


def alarm_not_found(alarm_id: str) -> QueryError:
    message = f"There is no alarm {alarm_id}; cleared ones are kept for a set time."
    return QueryError("alarm_not_found", message, HTTPStatus.NOT_FOUND)


def alarm_cleared(alarm_id: str) -> QueryError:
    message = f"Alarm {alarm_id} was cleared meanwhile; there is nothing to acknowledge any more."
    return QueryError("alarm_cleared", message, HTTPStatus.CONFLICT)
