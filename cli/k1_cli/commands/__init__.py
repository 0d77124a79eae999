"""The commands. They import what they need when they run, so that `k1 --help` stays fast."""
