"""The commented files a district begins with, shipped as data: see syncd.settings.starting."""
