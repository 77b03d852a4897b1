"""The page: records → typed context (its JSON is what tests hold) → one HTML file, or a summary in Markdown."""
