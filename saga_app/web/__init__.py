"""Pages for people, on each worker's web server and on that of `saga pages`.

They show the order database, and send what people ask for.
"""
