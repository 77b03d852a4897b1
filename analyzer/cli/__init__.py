"""The command line, `analyze`: `commands` parse the options, `jobs` do the work and write the result."""

from analyzer.cli.app import main as main
