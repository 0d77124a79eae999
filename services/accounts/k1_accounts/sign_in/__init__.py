"""Sign-up, sign-in with a password or a one-time token, and its throttling."""
