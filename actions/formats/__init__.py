"""The texts in which models write actions, one module a format."""
