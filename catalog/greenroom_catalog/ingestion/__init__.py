"""Repository file -> Processed: read, parse, check, annotate, and say what follows."""
