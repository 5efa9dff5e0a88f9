"""Text, numbers, objects and patterns as JavaScript has them: templates, forms and log lines are held against programs in it."""
