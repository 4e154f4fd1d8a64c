"""Health of agents, the watchdog of the loop, restarts."""
