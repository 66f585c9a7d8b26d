package main

// The brand, as clients of the API see it. The pages have the same name and
// colours in frontend/index.html and frontend/theme.css; lyon.patch changes all
// of them together.
const (
	brandName  = "Guestbook"
	brandColor = "#2f5d8a"
)
