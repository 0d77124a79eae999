"""Reports, previews and drawings of a graph."""
