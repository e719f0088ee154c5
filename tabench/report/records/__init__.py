"""Records read and judged: what they hold, how it is worded, what other papers printed."""
