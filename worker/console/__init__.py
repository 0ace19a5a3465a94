"""`revoker console`: what operators see and do, as pages of a web server. Every page works without script."""
