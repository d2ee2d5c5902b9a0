"""How fast syncd is, measured on this machine: `python -m bench`. docs/performance.md says what the figures mean."""
