"""Execution of deployments: the scheduler picks them, an executor runs each from its log."""
