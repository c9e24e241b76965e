"""The only way out: whom an HTTP exchange with another system may reach, what was asked, and what came back."""
