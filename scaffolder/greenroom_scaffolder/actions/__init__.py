"""The registry of actions, and the built-in ones, one module a family."""
