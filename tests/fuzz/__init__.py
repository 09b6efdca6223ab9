"""The fuzzer of what comes over the line, with the corpus that it keeps."""
