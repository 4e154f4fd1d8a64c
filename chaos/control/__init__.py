"""Plain PySyncObj in the laboratory: the positive control, and what to compare with."""
