"""Plans and cells: what would run, what runs, what has run."""
