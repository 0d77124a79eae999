"""Alembic's environment: runs on the connection that `k1_catalogue.migrate` opened and locked."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="migrations",
    version_table_schema="catalogue",
)
with context.begin_transaction():
    context.run_migrations()
