"""The msgpack serializer of aiocache."""
