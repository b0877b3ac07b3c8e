"""Files on disk: written whole or not at all, checked by digest, with room left on the disk."""
