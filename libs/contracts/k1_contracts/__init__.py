"""The messages, subjects, streams and shared models: all that services know of one another."""
