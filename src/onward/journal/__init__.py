"""Where events are kept: one module per backend, none of which knows another."""
