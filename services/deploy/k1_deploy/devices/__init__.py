"""The devices: their table, their credentials and connections, their presence, and the link for commands."""
