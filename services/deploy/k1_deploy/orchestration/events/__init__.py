"""What happens in a deployment: written to its log, published as events and as live messages."""
