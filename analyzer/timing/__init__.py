"""What a network costs in seconds: on this machine, part by part, with spread and quality."""
