"""The demo song: its plan and truth, its instruments, its arrangement."""
