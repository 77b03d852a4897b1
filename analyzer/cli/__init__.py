"""`analyze`."""

from analyzer.cli.app import main as main
