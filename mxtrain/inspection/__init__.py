"""What lies in files and run folders, and how two of them differ. Nothing is trained here."""
