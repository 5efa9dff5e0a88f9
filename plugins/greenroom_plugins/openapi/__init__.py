"""`$openapi` and `$asyncapi`: API definitions that are spread over files, bundled into one."""
