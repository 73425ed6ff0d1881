"""Deployment of a network on a chip, with its input spikes and its artifact."""

from toolchain.deployment.deployment import Deployment

__all__ = ["Deployment"]
