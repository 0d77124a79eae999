"""What people do with tracks: edit, delete, restore, act on many; and the purge of deleted tracks."""
