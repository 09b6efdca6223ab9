"""A local Apache Kafka for trying things out and for tests, from package registries alone: no Docker, no root.

`java` finds a Java, `jars` fetches the broker's jars and checks their hashes, `config` makes its properties, `home` is
its folder, `process` asks the operating system, and `broker` puts them together. Needs the extra `local`. No code that
runs in production imports this package.
"""
