"""Queries of administrators about users, and of users about their profiles."""
