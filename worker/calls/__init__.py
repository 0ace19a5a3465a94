"""Provider calls: what stands between a task and a provider, and what is learnt from the answer."""
