"""The client half of the group: proposer, reads, requests, digests, leases, against a fake
driver."""
