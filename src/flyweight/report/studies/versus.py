"""Two machines side by side."""
