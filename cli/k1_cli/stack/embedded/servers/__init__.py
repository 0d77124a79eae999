"""One module for each embedded server, and their common base class."""
