"""`self.fence`: what an agent shows to the world outside, so that its past self is turned away.

The law of this file: the token is the activation's epoch. It only grows along the activations of a
name, so a resource that remembers the highest token it has seen and refuses lower ones takes no
effect of an activation that is over. Without such a resource a fence promises nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.core.errors import Fenced

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation


class Fence:
    """Of one activation."""

    __slots__ = ("_activation",)

    def __init__(self, activation: Activation) -> None:
        self._activation = activation

    @property
    def token(self) -> int:
        """Goes along with every effect outside of the cluster."""
        return self._activation.epoch

    @property
    def holds(self) -> bool:
        """Whether this activation may believe, by this host's clock, that it is the present one."""
        return self._activation.holds

    def check(self) -> int:
        """The token, right before an effect. Raises `Fenced` when this activation cannot be sure
        any more to be the present one."""
        activation = self._activation
        if not activation.holds:
            raise Fenced(
                f"agent {activation.name!r}, epoch {activation.epoch}: host "
                f"{activation.engine.host_id!r} cannot be sure that it still runs the agent"
            )
        return activation.epoch

    def __int__(self) -> int:
        return self.token

    def __repr__(self) -> str:
        return f"<Fence {self.token}>"
