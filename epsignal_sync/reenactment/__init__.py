"""The app's part of a recording, played on a simulated or a real PBX."""
