"""Commands that need the catalog's own code: `greenroom catalog validate`. The CLI finds them by entry points."""
