"""Who may say what: which events are let in before anything is planned."""
