"""What well-known front-ends send, each in a file of its own: they work without a change."""
