"""The lessons run from the command line: ``python -m caviar_kit.demo``."""
