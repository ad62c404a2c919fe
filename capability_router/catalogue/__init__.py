"""What models there are: what each can do, what it takes and costs, and when it is withdrawn.

Comes from the price map that LiteLLM brings, and from YAML files of one's own that lie over it.
Nothing here imports LiteLLM, which takes seconds, and only ``discovery`` opens a connection.
"""
