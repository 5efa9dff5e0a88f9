"""Processed entity + incoming relations -> what is served and how it is found."""
