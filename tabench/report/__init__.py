"""Records to frames to HTML, LaTeX, CSV and Markdown. No torch."""
