"""Tables made of records, and their writers."""
