"""The auth API: sign in, and the keys and facts by which others recognise who is signed in."""
