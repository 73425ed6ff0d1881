"""Which layer a module is, and which nodes it becomes: one table a framework."""
