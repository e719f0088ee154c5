"""Pages: HTML, Markdown and JSON around tables and figures."""
