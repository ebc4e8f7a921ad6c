"""What ``docs/build.py`` is made of: one module for each page or check."""
