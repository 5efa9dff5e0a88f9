"""The action `http:backstage:request`: a template asks this backend's own APIs."""
