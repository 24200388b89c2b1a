"""What a backend's author tests with: conformance suites and a file system that loses power."""
