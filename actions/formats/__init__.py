"""One small module a format, each turning a model's text into typed actions (``foveate.actions.parse`` chooses)."""
