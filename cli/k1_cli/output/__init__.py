"""How commands write for people and for scripts: console, tables, files, suggested commands."""
