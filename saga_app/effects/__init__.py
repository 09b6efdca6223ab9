"""Effects at providers: the dispatcher makes the calls that rows ask for; providers are its ports to the outside."""
