"""Runs that take too long for every test run; each is a module to start with ``python -m``."""
