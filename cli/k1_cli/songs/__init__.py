"""Songs at the command line: upload, local analysis, summaries, pictures and pages."""
