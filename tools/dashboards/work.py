"""Defines the dashboards of the work of the system: analyses, deployments and telemetry."""

from typing import Final

from tools.dashboards.panels import Dashboard, Panel, Row, Series, line, number, quantiles

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
                line("Alarms by state", "max by (status) (k1_telemetry_alarms)", "{{status}}"),
            ),
        ),
        Row(
            "Store",
            (
                line(
                    "Stored samples", "sum(rate(k1_telemetry_stored_samples_total[5m]))", "samples", "reqps"
                ),
                quantiles("Duration of writes", "k1_telemetry_store_write_seconds"),
                quantiles("From the broker to the commit", "k1_telemetry_store_lag_seconds"),
                line(
                    "Samples in quarantine by reason",
                    "sum by (reason) (rate(k1_telemetry_bad_samples_total[5m]))",
                    "{{reason}}",
                    "reqps",
                ),
                line(
                    "Failed writes in an hour",
                    "sum(increase(k1_telemetry_store_failures_total[1h]))",
                    "writes",
                    red_from=1,
                ),
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
