"""Finds the audio in a file: its kind, its first frame, its encoder's delay, its true length.

Used by ingest, which probes an upload, and by the analysis engine, which decodes it. Everything but `reading` is
pure and needs no libav. All scans are bounded: the files come from strangers.
"""
