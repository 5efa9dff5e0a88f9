"""The actions `roadiehq:utils:*`, which many templates use."""
