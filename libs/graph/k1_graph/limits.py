"""The numbers of the design that bound a graph and its run."""

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
"""Beyond it a document is refused unread: no K1 runs a tenth of this."""
NAME_MAX = 64
VIOLATIONS_MAX = 200
"""A report lists so many; the rest are counted."""

SIGNAL_LIMIT = 1e6
"""Numbers saturate here, so that no infinity and no NaN arises."""
SONG_MAX_MS = 6 * 3600 * 1000.0
