"""The memcached backend of aiocache."""
