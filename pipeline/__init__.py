"""A headless, git-native content pipeline: one project a day until an event.

This module holds the version and nothing else; importing it must stay free of side effects.
"""

__version__ = "0.1.0"
