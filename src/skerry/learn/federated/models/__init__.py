"""Models that clients train with NumPy alone, so that a training function needs little memory."""
