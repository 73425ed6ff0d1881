"""Adapters from framework layers to nodes: one module with one table for each framework."""
