"""Dense prediction tasks, one file each: channels, loss, metrics, colours."""
