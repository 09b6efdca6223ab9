"""The copy: it reads the topics and writes rows to SQL, in transactions together with the offsets."""
