"""Ways of adapting the encoder to several tasks."""
