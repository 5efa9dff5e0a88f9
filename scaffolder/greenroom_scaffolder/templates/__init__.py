"""A Template entity -> the form to show, the steps to run, and what is wrong with it."""
