"""The admin API: one host over HTTP, one file per resource."""
