"""Artefacts by themselves: deleting and restoring them, links to them, the audio and its waveform."""
