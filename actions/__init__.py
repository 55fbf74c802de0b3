"""What can be done: typed actions, the coordinates they point with, the parser, the guard and the adapters."""
