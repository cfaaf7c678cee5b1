"""Event files: how a run stands on disk.

1. `framing`: records to bytes with their checksums and back, up to where a file was cut off.
2. `summary`: records of the stock dashboards, from serialized templates.
3. `streams`: numbers compressed without loss.
4. `block`: the full record of every iteration; `pooled`: the same by columns of many; `totals`: of all
   so far.
5. `header`: what a run is; `tags`: what is called what.
"""
