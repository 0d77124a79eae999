"""The embedded servers: NATS, PostgreSQL, MongoDB and S3 as child processes, without Docker."""
