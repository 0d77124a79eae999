"""Defines the limits of a graph and of its execution on a K1."""

FPS = 50
FRAME_MS = 1000.0 / FPS
LEDS = 180

FRAME_BUDGET_MS = 8.0
RED_MS = 10.0
RED_FRAME_CPU_PCT = 80.0

NODE_STATE_WARN_BYTES = 1024
NODE_STATE_MAX_BYTES = 2560
GRAPH_STATE_MAX_BYTES = 16 * 1024
SCRATCH_MAX_BYTES = 16 * 1024

NODES_WARN = 50
NODES_MAX = 1000
"""A document with more nodes is rejected without reading them; a K1 can run fewer than a tenth of this."""
NAME_MAX = 64
VIOLATIONS_MAX = 200
"""A validation lists at most this many violations and counts the rest."""

SIGNAL_LIMIT = 1e6
"""Numbers saturate at this value, so that no infinity and no NaN occurs."""
SONG_MAX_MS = 6 * 3600 * 1000.0
