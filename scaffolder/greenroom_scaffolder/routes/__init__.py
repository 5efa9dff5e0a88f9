"""The HTTP surface of the scaffolder."""
