"""The page: records → typed context (tests compare its JSON) → one HTML file, or a summary in Markdown."""
