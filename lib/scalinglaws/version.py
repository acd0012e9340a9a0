"""The version, in a module that loads nothing."""

VERSION = "1.0.0"
