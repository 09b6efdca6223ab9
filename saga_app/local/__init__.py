"""A local Apache Kafka for trying things out and for tests, from package registries alone: no Docker, no root.

`java` finds a Java, `jars` brings the broker's jars and checks their hashes, `config` writes its properties,
`home` is its folder, `process` asks the operating system, `broker` puts them together. Needs the extra `local`.
Nothing that runs in production imports this package.
"""
