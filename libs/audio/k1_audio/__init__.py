"""Finds the audio in a file: its kind, its first frame, its encoder's delay, its true length.

Ingest uses it to probe an upload, the analysis engine to decode it. `reader`, `demuxer` and `frames` need libav; the
rest is pure. All scans are bounded, because the files are untrusted.
"""
