"""From zero to an answer, against a fresh Python process."""
