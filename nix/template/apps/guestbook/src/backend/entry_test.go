package main

import (
	"errors"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	tests := []struct {
		name    string
		in      newEntry
		want    newEntry
		problem string // of the fieldError, "" for none
	}{
		{"plain", newEntry{"Ada", "Hello"}, newEntry{"Ada", "Hello"}, ""},
		{"space around", newEntry{" Ada\n", "\tHello\n\n"}, newEntry{"Ada", "Hello"}, ""},
		{"line ends", newEntry{"Ada", "one\r\ntwo\nthree"}, newEntry{"Ada", "one\ntwo\nthree"}, ""},
		{"markup is text", newEntry{"<b>", "'; drop table entries; --"}, newEntry{"<b>", "'; drop table entries; --"}, ""},
		{"longest", newEntry{strings.Repeat("é", 80), strings.Repeat("🎉", 2000)}, newEntry{strings.Repeat("é", 80), strings.Repeat("🎉", 2000)}, ""},

		{"no name", newEntry{" ", "Hello"}, newEntry{}, "name is empty"},
		{"no message", newEntry{"Ada", "\r\n"}, newEntry{}, "message is empty"},
		{"long name", newEntry{strings.Repeat("é", 81), "Hello"}, newEntry{}, "name has 81 characters, at most 80 fit"},
		{"long message", newEntry{"Ada", strings.Repeat("x", 2001)}, newEntry{}, "message has 2001 characters, at most 2000 fit"},
		{"line end in a name", newEntry{"Ada\nLovelace", "Hello"}, newEntry{}, "name contains the control character U+000A"},
		{"NUL", newEntry{"Ada", "a\x00b"}, newEntry{}, "message contains the control character U+0000"},
		{"escape", newEntry{"Ada", "\x1b[31mred"}, newEntry{}, "message contains the control character U+001B"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.in.clean()
			if test.problem == "" {
				if err != nil || got != test.want {
					t.Errorf("got %+v, %v; want %+v", got, err, test.want)
				}
				return
			}
			if wrong := (*fieldError)(nil); !errors.As(err, &wrong) || err.Error() != test.problem {
				t.Errorf("got error %v, want %s", err, test.problem)
			}
		})
	}
}
