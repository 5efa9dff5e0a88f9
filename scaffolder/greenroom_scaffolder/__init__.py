"""Template and parameters -> a finished task: the scaffolder."""
