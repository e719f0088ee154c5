"""How the tasks' losses and gradients become one step."""
