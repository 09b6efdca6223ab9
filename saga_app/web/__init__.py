"""Pages for people on the worker's own web server: they show the order database, and send what people ask for."""
