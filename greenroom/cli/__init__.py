"""The command line: `greenroom serve` and its siblings."""
