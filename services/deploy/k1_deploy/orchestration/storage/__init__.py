"""The tables of deployments: their logs, leases, locks, signals and bundles."""
