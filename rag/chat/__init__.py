"""The web chat: pages, panel, study tools and endpoints over one open index. No retrieval happens here."""
