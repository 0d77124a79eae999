"""The demo song: its plan with the true beats, its instruments, its arrangement and its files."""
