"""Text, numbers, objects and patterns as JavaScript has them: what the house serves and writes is held against programs in it."""
