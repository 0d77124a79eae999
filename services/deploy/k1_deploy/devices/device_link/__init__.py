"""The device link: commands and replies, clocks, trusted keys and chunks of bundles."""
