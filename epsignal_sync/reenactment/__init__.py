"""The app's side of a recording, played on a simulated or a real PBX; ``epsignal_sync.replay`` plays the other side."""
