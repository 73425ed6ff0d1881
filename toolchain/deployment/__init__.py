"""Deployment: a network on a chip, its input spikes, and its saved form."""

from toolchain.deployment.deployment import Deployment

__all__ = ["Deployment"]
