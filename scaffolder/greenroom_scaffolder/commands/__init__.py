"""`greenroom template …`: what authors do with templates, most of it without a server."""

CASE_FILES = ("template.test.yaml", "*.template.test.yaml")
"""What files of cases are called. Here, where no import is made: each run of pytest asks."""
TEMPLATE_FILES = ("template.yaml", "template.yml", "*.template.yaml", "*.template.yml")
"""What files of templates are called, where a folder is searched for them."""
