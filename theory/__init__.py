"""Numbers from mathematics alone: exact risks, bounds, gates in hindsight (no torch)."""
