"""Several models under one name: who is asked, and who is next. For judges and chats, never for a model under test."""
