"""Defines the dashboards: which metrics each shows. `docs/monitoring.md` says what to look at first."""

from typing import Final

from tools.dashboards.panels import Dashboard, Panel, Row, Series, line, number, quantiles
from tools.dashboards.work import ANALYSIS, DEPLOYMENTS, TELEMETRY

_API: Final = 'job="gateway", route=~"/api/v1/.*"'

SYSTEM: Final = Dashboard(
    "k1-system",
    "K1 system",
    (
        Row(
            "Health",
            (
                number("Processes that do not answer", "count(up == 0) or vector(0)", red_from=1),
                number(
                    "Alerts firing", 'count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)'
                ),
                number("Dead letters", "max(k1_bus_dead_letters)", red_from=1),
                number("Jobs waiting", "max(k1_analysis_backlog)", red_from=100),
                number("Devices online", 'max(k1_deploy_devices{presence="online"})'),
                number("Share of the store used", "max(k1_storage_used_ratio)", "percentunit", red_from=0.8),
            ),
        ),
        Row(
            "HTTP",
            (
                line(
                    "Requests by service",
                    "sum by (job) (rate(k1_http_request_seconds_count[5m]))",
                    "{{job}}",
                    "reqps",
                ),
                line(
                    "Errors of the API by status",
                    f'sum by (status) (rate(k1_http_request_seconds_count{{{_API}, status=~"[45].."}}[5m]))',
                    "{{status}}",
                    "reqps",
                ),
                quantiles("Duration of API requests", "k1_http_request_seconds", selector=f"{{{_API}}}"),
                line(
                    "Slowest routes, p95",
                    "topk(10, histogram_quantile(0.95, sum by (le, method, route) "
                    f"(rate(k1_http_request_seconds_bucket{{{_API}}}[15m]))))",
                    "{{method}} {{route}}",
                    "s",
                ),
                line("Open streams", "sum by (kind) (k1_http_open_streams)", "{{kind}}"),
                line("Clients of the live feed", "sum by (kind) (k1_live_clients)", "{{kind}}"),
            ),
        ),
        Row(
            "Processes",
            (
                line("Processor cores used", "sum by (job) (rate(process_cpu_seconds_total[5m]))", "{{job}}"),
                line("Memory", "sum by (job) (process_resident_memory_bytes)", "{{job}}", "bytes"),
                line(
                    "Share of file descriptors used",
                    "max by (job) (process_open_fds / process_max_fds)",
                    "{{job}}",
                    "percentunit",
                    red_from=0.8,
                ),
                line(
                    "Share of database connections used",
                    "max by (job) (k1_postgres_pool_used / k1_postgres_pool_limit)",
                    "{{job}}",
                    "percentunit",
                    red_from=0.9,
                ),
                line("Uptime", "time() - min by (job) (process_start_time_seconds)", "{{job}}", "s"),
                line("Releases", "count by (service, version) (k1_service_info)", "{{service}} {{version}}"),
            ),
        ),
    ),
)

BUS: Final = Dashboard(
    "k1-bus",
    "K1 bus",
    (
        Row(
            "Trouble",
            (
                number("Dead letters", "max(k1_bus_dead_letters)", red_from=1),
                number("Processes without the bus", "count(k1_bus_connected == 0) or vector(0)", red_from=1),
                line(
                    "Age of the oldest unpublished event",
                    "max by (job) (k1_catalogue_outbox_age_seconds or k1_deploy_outbox_age_seconds"
                    " or k1_webhooks_outbox_age_seconds or k1_telemetry_outbox_age_seconds)",
                    "{{job}}",
                    "s",
                    red_from=60,
                ),
                line(
                    "Unpublished events",
                    "max by (job) (k1_catalogue_outbox_events or k1_deploy_outbox_events or k1_webhooks_outbox_events"
                    " or k1_telemetry_outbox_events)",
                    "{{job}}",
                ),
            ),
        ),
        Row(
            "Durables",
            (
                line("Waiting messages", "max by (durable) (k1_bus_consumer_pending)", "{{durable}}"),
                line(
                    "Unacknowledged messages",
                    "max by (durable) (k1_bus_consumer_unacknowledged)",
                    "{{durable}}",
                ),
                line(
                    "Handled messages by status",
                    "sum by (app_name, status) (rate(k1_bus_received_processed_messages_total[5m]))",
                    "{{app_name}} {{status}}",
                    "reqps",
                ),
                line(
                    "Slowest handlers, p95",
                    "topk(10, histogram_quantile(0.95, sum by (le, handler) "
                    "(rate(k1_bus_received_processed_messages_duration_seconds_bucket[5m]))))",
                    "{{handler}}",
                    "s",
                ),
                line(
                    "Published messages",
                    "sum by (app_name) (rate(k1_bus_published_messages_total[5m]))",
                    "{{app_name}}",
                    "reqps",
                ),
            ),
        ),
        Row(
            "Streams",
            (
                line("Bytes", "max by (stream) (k1_bus_stream_bytes)", "{{stream}}", "bytes"),
                line(
                    "Share of the limit",
                    "max by (stream) (k1_bus_stream_bytes / k1_bus_stream_limit_bytes)",
                    "{{stream}}",
                    "percentunit",
                ),
            ),
        ),
    ),
)

STORAGE: Final = Dashboard(
    "k1-storage",
    "K1 storage",
    (
        Row(
            "Object store",
            (
                line("Bytes by type", "max by (type) (k1_storage_bytes)", "{{type}}", "bytes"),
                line("Share used", "max(k1_storage_used_ratio)", "used", "percentunit", red_from=0.8),
                line(
                    "Bytes of objects",
                    "sum by (job, direction) (rate(k1_objects_bytes_total[5m]))",
                    "{{job}} {{direction}}",
                    "Bps",
                ),
                quantiles("Duration of calls", "k1_objects_request_seconds", "operation"),
                line(
                    "Failed calls",
                    'sum by (job, operation) (rate(k1_objects_request_seconds_count{outcome="error"}[5m]))',
                    "{{job}} {{operation}}",
                    "reqps",
                ),
            ),
        ),
        Row(
            "Databases and streams",
            (
                line("Size of PostgreSQL", "max(k1_postgres_database_bytes)", "database", "bytes"),
                line("Bytes of streams", "max by (stream) (k1_bus_stream_bytes)", "{{stream}}", "bytes"),
            ),
        ),
    ),
)

SLO: Final = Dashboard(
    "k1-slo",
    "K1 service level",
    (
        Row(
            "99.9 % of the API's responses are no server error",
            (
                number("Availability, 3 days", "1 - k1:api_errors:ratio_rate3d", "percentunit"),
                number(
                    "Error budget left, 3 days",
                    "clamp_min(1 - k1:api_errors:ratio_rate3d / 0.001, 0)",
                    "percentunit",
                ),
                Panel(
                    "Burn rate: 1 uses the budget exactly up",
                    tuple(
                        Series(f"k1:api_errors:ratio_rate{window} / 0.001", window)
                        for window in ("5m", "1h", "6h", "3d")
                    ),
                    "none",
                    red_from=14.4,
                    width=16,
                ),
            ),
        ),
        Row(
            "95 % of reads within a second",
            (
                line("p95 of the API", "k1:api_seconds:p95", "p95", "s", red_from=1),
                line(
                    "Probe from outside",
                    "avg by (instance) (avg_over_time(probe_success[15m]))",
                    "{{instance}}",
                    "percentunit",
                ),
                line(
                    "Duration of the probe", "max by (instance) (probe_duration_seconds)", "{{instance}}", "s"
                ),
            ),
        ),
    ),
)

DASHBOARDS: Final = (SYSTEM, ANALYSIS, BUS, DEPLOYMENTS, TELEMETRY, STORAGE, SLO)
