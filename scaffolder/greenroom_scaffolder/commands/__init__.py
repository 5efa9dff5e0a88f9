"""`greenroom template …`: for authors, without a server."""
