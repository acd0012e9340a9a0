"""The version, in a module that loads nothing."""

VERSION = "0.2.0"
