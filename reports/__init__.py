"""Code that renders: records and comparisons as tables, and tables as terminal text, Markdown, LaTeX and CSV."""
