"""The messages to users, sent from an outbox."""
