"""Where a network's compute goes, exactly."""
