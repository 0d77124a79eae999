"""The commands, one module for each group. They import what they need when they run, so that `k1 --help` stays fast."""
