"""Provides what every service needs: NATS, PostgreSQL, object storage, HTTP, processes, credentials, observability."""
