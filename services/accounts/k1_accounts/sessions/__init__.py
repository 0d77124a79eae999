"""Sessions with their refresh tokens, and the access tokens."""
