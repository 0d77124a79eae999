"""The orchestration of deployments: who executes which, its steps on devices, and the reconciler."""
