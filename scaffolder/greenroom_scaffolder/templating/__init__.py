"""`${{ }}` -> value, bounded: the expression language of templates."""
