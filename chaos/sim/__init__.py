"""The first tier of the laboratory: the Raft group in virtual time, replayable from a seed.

Time, network, disk and chance are simulated; the engine, the driver, the journal, the machine, the
proposer, the frames and the queues of a link are the product's own.
"""
