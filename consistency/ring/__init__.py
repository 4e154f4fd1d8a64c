"""Which hosts own a key, and how ownership moves when hosts come and go."""
