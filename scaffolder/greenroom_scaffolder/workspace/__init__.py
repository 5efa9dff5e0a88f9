"""A directory that cannot be escaped, and secrets that cannot leak."""
