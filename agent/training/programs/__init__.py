"""Small interactive programs, made up from a seed: pages with state, each with a task that the page verifies."""
