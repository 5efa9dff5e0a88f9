"""A value and a JSON Schema -> errors, as the npm package `jsonschema` words them."""
