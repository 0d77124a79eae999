"""Orders for deployments, plans and queries."""
