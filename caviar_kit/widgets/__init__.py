"""Panels for notebooks; they hold no science, each calls public functions."""
