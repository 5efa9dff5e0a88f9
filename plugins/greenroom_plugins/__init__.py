"""First-party plugins: one sub-package per outside system or capability."""
