"""The laboratory of the stores: the local plane and mixed levels in virtual time, replayable from a
seed.

Time, network, disk, strong plane and chance are simulated; the store replica, its log and state,
the ring, the Merkle exchange, the CRDTs and the frames are the product's own.
"""
