"""The node types that a graph may use, and their documentation."""
