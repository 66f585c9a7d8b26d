package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The limits count characters (code points), as PostgreSQL's char_length does.
// They are also in migrations/0001_entries.sql and in frontend/index.html.
const (
	maxName    = 80
	maxMessage = 2000
)

// entry is one entry of the guestbook. The order of its fields is the order of
// the columns in store.List.
type entry struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Message   string    `json:"message"`
	CreatedAt time.Time `json:"createdAt"`
}

// newEntry is what a guest sends.
type newEntry struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// fieldError says what is wrong with one field of a newEntry.
type fieldError struct {
	field, problem string
}

func (e *fieldError) Error() string { return e.field + " " + e.problem }

// clean returns n without surrounding space and with plain line ends, or a
// *fieldError.
func (n newEntry) clean() (newEntry, error) {
	n.Name = strings.TrimSpace(n.Name)
	n.Message = strings.TrimSpace(strings.ReplaceAll(n.Message, "\r\n", "\n"))
	if err := checkText("name", n.Name, maxName, ""); err != nil {
		return newEntry{}, err
	}
	if err := checkText("message", n.Message, maxMessage, "\n\t"); err != nil {
		return newEntry{}, err
	}
	return n, nil
}

// checkText refuses control characters, apart from those in allowed: they have
// no place in a text, and PostgreSQL cannot store one of them, U+0000, at all.
func checkText(field, text string, limit int, allowed string) error {
	if text == "" {
		return &fieldError{field, "is empty"}
	}
	if n := utf8.RuneCountInString(text); n > limit {
		return &fieldError{field, fmt.Sprintf("has %d characters, at most %d fit", n, limit)}
	}
	for _, r := range text {
		if unicode.IsControl(r) && !strings.ContainsRune(allowed, r) {
			return &fieldError{field, fmt.Sprintf("contains the control character %U", r)}
		}
	}
	return nil
}
