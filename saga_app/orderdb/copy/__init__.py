"""The copy: topics are read and written to SQL, in transactions with their offsets."""
