"""What can be seen: observations, environments and the settling of a world after an action."""
