"""What agents do on a host that reaches no majority, and how both sides are brought together."""
