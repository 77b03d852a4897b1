// Runs after all other files.
restore();
reveal();
