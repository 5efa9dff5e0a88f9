"""The permission API: may this user do that? So far everyone who is signed in may do everything."""
