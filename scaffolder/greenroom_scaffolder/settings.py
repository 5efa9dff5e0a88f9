"""The section `scaffolder` of app-config."""
