// Runs after all other files.
reveal();
