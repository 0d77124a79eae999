"""The events of tracks: what changed, and a track rebuilt from them."""
