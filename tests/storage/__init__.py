"""The stores: contract, damage, faults, crash images, overlay, snapshots."""
