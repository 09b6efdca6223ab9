"""Dead letters as people meet them: read, chosen, shown, and sent again. Nothing here is needed by a worker."""
