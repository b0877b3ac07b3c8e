"""The `va` command."""
