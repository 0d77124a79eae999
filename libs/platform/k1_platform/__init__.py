"""The plumbing that every service shares."""
