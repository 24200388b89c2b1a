"""What `onward serve` adds around the app: connection limits, drain and the processes it looks after."""
