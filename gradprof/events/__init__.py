"""Event files: how a run stands on disk.

1. `crc`: the checksum of a record.
2. `framing`: records to bytes and back, up to where a file was cut off.
3. `summary`: records of the stock dashboards, from serialized templates.
4. `streams`: numbers compressed without loss.
5. `block`: the full record of every iteration; `pooled`: the same by columns of many.
6. `tags`: what is called what.
"""
