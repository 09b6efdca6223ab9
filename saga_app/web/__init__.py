"""Pages for people, on the worker's own web server: what the order database knows, and what may be done about it."""
