"""What decides: policies, the wrappers around them and the engines that serve models."""
