"""The stores in virtual time: seeds that hold, and faults that are found."""
