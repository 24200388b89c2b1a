"""What an upload is: values, events and decisions, without I/O, HTTP or a clock."""
