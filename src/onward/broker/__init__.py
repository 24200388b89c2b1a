"""Queues for the worker, as Taskiq brokers: durable without Redis, and a Redis stream that loses nothing."""
