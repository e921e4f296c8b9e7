"""Top of the project: what pytest wants declared here."""

pytest_plugins = ["pytester"]
