"""Agents in virtual time: the registry, activation and migration of the product's own code, over an
oracle of the group, with faults drawn from a seed. See README.md.
"""
