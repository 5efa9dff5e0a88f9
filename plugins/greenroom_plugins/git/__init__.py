"""Catalog files from any Git host, by clone URL, with the git command alone."""
