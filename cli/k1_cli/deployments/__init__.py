"""A deployment at the command line: its request, its state, its live view and its timeline."""
