"""Renders the result of any check: tables for the terminal, JSON, JUnit XML, Markdown, and GitHub annotations."""
