"""Defines the dashboards: which metrics each shows. `docs/monitoring.md` says what to look at first."""

from typing import Final

from tools.dashboards.panels import Dashboard, Panel, Row, Series, line, number, quantiles

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

ANALYSIS: Final = Dashboard(
    "k1-analysis",
    "K1 analysis",
    (
        Row(
            "Queue",
            (
                line("Jobs waiting or running", "max(k1_analysis_backlog)", "backlog", red_from=100),
                quantiles("Wait for a slot", "k1_analysis_wait_seconds"),
                Panel(
                    "Slots",
                    (
                        Series("sum(k1_analysis_busy_slots)", "busy"),
                        Series("sum(k1_analysis_warm_children)", "warm processes"),
                    ),
                ),
                line("Jobs by status", "max by (status) (k1_catalogue_jobs)", "{{status}}"),
            ),
        ),
        Row(
            "Work",
            (
                quantiles("Duration of stages", "k1_analysis_stage_seconds", "stage"),
                line(
                    "Ended jobs an hour",
                    "3600 * sum by (outcome) (rate(k1_analysis_jobs_total[15m]))",
                    "{{outcome}}",
                ),
                line(
                    "Failures by stage, in an hour",
                    'sum by (stage) (increase(k1_analysis_jobs_total{outcome="failed"}[1h]))',
                    "{{stage}}",
                ),
                line(
                    "Error of the estimated end, p95",
                    "histogram_quantile(0.95, sum by (le, direction) "
                    "(rate(k1_catalogue_estimate_error_seconds_bucket[1h])))",
                    "{{direction}}",
                    "s",
                ),
                line(
                    "Cost in a day",
                    "sum by (part) (increase(k1_catalogue_cost_usd_total[1d]))",
                    "{{part}}",
                    "currencyUSD",
                ),
            ),
        ),
        Row(
            "Uploads",
            (
                line(
                    "Uploads by outcome",
                    "sum by (outcome) (rate(k1_ingest_uploads_total[5m]))",
                    "{{outcome}}",
                    "reqps",
                ),
                quantiles("Duration of uploads", "k1_ingest_upload_seconds"),
                line("Uploads in progress", "sum(k1_ingest_uploads_in_progress)", "uploads"),
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
                    " or k1_webhooks_outbox_age_seconds)",
                    "{{job}}",
                    "s",
                    red_from=60,
                ),
                line(
                    "Unpublished events",
                    "max by (job) (k1_catalogue_outbox_events or k1_deploy_outbox_events or k1_webhooks_outbox_events)",
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

DEPLOYMENTS: Final = Dashboard(
    "k1-deployments",
    "K1 deployments",
    (
        Row(
            "Deployments",
            (
                line("By status", "max by (status) (k1_deploy_deployments)", "{{status}}"),
                line(
                    "Since the last step",
                    "max by (status) (k1_deploy_oldest_change_seconds)",
                    "{{status}}",
                    "s",
                ),
                line(
                    "Steps by result",
                    "sum by (step, result) (rate(k1_deploy_step_seconds_count[5m]))",
                    "{{step}} {{result}}",
                    "reqps",
                ),
                quantiles("Duration of steps", "k1_deploy_step_seconds", "step"),
                line(
                    "Error of the moment of activation, p95",
                    "histogram_quantile(0.95, sum by (le) (rate(k1_deploy_activation_error_ms_bucket[1h])))",
                    "p95",
                    "ms",
                ),
            ),
        ),
        Row(
            "Devices and webhooks",
            (
                line("Devices by presence", "max by (presence) (k1_deploy_devices)", "{{presence}}"),
                line("Deliveries of webhooks", "max by (status) (k1_webhooks_deliveries)", "{{status}}"),
                line(
                    "Attempts to deliver",
                    "sum by (outcome) (rate(k1_webhooks_attempts_total[15m]))",
                    "{{outcome}}",
                    "reqps",
                ),
            ),
        ),
    ),
)

TELEMETRY: Final = Dashboard(
    "k1-telemetry",
    "K1 telemetry",
    (
        Row(
            "Readings",
            (
                number("Leaders", "sum(k1_telemetry_leader)"),
                number("Devices online", "max(k1_telemetry_devices_online)"),
                line(
                    "Readings by outcome",
                    "sum by (outcome) (rate(k1_telemetry_readings_total[5m]))",
                    "{{outcome}}",
                    "reqps",
                ),
                line(
                    "Skipped sequence numbers",
                    "sum(rate(k1_telemetry_missing_readings_total[5m]))",
                    "missing",
                    "reqps",
                ),
                quantiles("From the broker to the handling", "k1_telemetry_lag_seconds"),
                line(
                    "Devices at an alarm level",
                    "max by (kind, level) (k1_telemetry_alarms_raised)",
                    "{{kind}} {{level}}",
                ),
                line("Failures", "sum(rate(k1_telemetry_failures_total[5m]))", "failures", "reqps"),
            ),
        ),
        Row(
            "Live feed",
            (
                quantiles("From the broker to the queues of viewers", "k1_live_delay_seconds"),
                line(
                    "Samples that slow viewers missed",
                    "sum by (kind) (rate(k1_live_dropped_total[5m]))",
                    "{{kind}}",
                    "reqps",
                ),
                line(
                    "Ended connections",
                    "sum by (reason) (rate(k1_live_closed_total[5m]))",
                    "{{reason}}",
                    "reqps",
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
