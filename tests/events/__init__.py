"""Event sourcing: order, versions, late events, snapshots."""
