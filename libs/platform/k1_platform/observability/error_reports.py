"""Sends errors to a Sentry-compatible server (Sentry, GlitchTip, Bugsink), without personal data.

A report holds the message, the stack trace and the trace id. It holds no request, no local variables, no host name, and
of the extra fields of a log record only those that name no person.
"""

from typing import Any, Final, cast

from opentelemetry import trace

from k1_platform.settings import ObservabilitySettings

_FIELDS: Final = frozenset(
    {"code", "deployment_id", "device_id", "job_id", "method", "reason", "subject", "task", "track_id"}
)
"""The fields of log records that a report may hold."""
_DROPPED: Final = ("breadcrumbs", "modules", "request", "server_name", "user")


def configure_error_reports(service: str, version: str, settings: ObservabilitySettings) -> None:
    """Send every log record of level ERROR and above, if an address is set. What waits is sent at the end."""
    if settings.sentry_dsn is None:
        return
    import sentry_sdk  # noqa: PLC0415  it takes memory and a second, which most installations need not spend
    from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.logging import LoggingIntegration  # noqa: PLC0415

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        release=f"k1-{service}@{version}",
        environment=settings.environment,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, sentry_logs_level=None),
            AtexitIntegration(callback=lambda *_: None),
        ],
        send_default_pii=False,
        include_local_variables=False,
        max_breadcrumbs=0,
        before_send=cast("Any", _without_personal_data),
    )
    sentry_sdk.set_tag("service", service)


def _without_personal_data(event: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    """Return a report with only the fields that name no person; called before each is sent."""
    for name in _DROPPED:
        event.pop(name, None)
    extra = cast("dict[str, Any]", event.get("extra") or {})
    event["extra"] = {name: value for name, value in extra.items() if name in _FIELDS}
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        tags = cast("dict[str, str]", event.setdefault("tags", {}))
        tags["trace_id"] = f"{context.trace_id:032x}"
    return event
