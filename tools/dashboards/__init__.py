"""Writes the Grafana dashboards below `deploy/monitoring/grafana/dashboards`."""
