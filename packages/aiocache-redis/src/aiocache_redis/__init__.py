"""The redis backend of aiocache."""
