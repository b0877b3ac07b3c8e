"""One recording in memory: faces, sound and features, without a store."""
