"""Programs run as processes of their own, so that their time and memory are theirs alone. Each prints one line of JSON."""
