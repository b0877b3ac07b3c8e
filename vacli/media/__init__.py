"""What containers and pictures hold: frames with true times, and sound."""
