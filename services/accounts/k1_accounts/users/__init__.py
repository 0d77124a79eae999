"""The tables of users, passwords and linked identities."""
