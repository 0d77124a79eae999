"""The rules for passwords, and their hashes."""
