"""Engines that turn a request into text, each in a module of its own behind one protocol (``base.Engine``)."""
