"""What goes wrong on purpose: changed files, kills, full disks, and how the tool ends."""
