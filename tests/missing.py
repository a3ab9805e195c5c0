"""Modules that are not installed."""

from __future__ import annotations

import builtins

import pytest


def hide_module(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let ``import name`` fail."""
    load = builtins.__import__

    def refuse(module, *args, **kwargs):
        if module.partition(".")[0] == name:
            raise ImportError(f"{name} is hidden by the test")
        return load(module, *args, **kwargs)

    patch.setattr(builtins, "__import__", refuse)
