package withdrawn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStatementIsSortedAndStable(t *testing.T) {
	list := List{{"docs", "5.10.0-1", "a <b>", day}, {"meet", "1-1", "x", day}, {"docs", "5.9.0-2", "b", day}}
	s := NewStatement(list, "docs", "lyon", 3)
	got, err := s.Encode()
	const want = `{"app":"docs","variant":"lyon","version":3,"withdrawn":[{"version":"5.9.0-2","reason":"b","date":"2026-11-29"},{"version":"5.10.0-1","reason":"a <b>","date":"2026-11-29"}]}` + "\n"
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	read, err := ReadStatement(got)
	if diff := cmp.Diff(s, read); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if read.Digest() != NewStatement(list, "docs", "lyon", 9).Digest() || read.Digest() == "" || NewStatement(list, "other", "lyon", 1).Digest() != "" {
		t.Error("the digest is not that of what is said")
	}
	if read.Find("5.9.0-2").Reason != "b" || read.Find("5.9.0-1") != nil {
		t.Error("Find")
	}
}

func TestWrongStatementsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:             "cannot unmarshal",
		`{"version":0}`:  "version 0, 0 releases, expected a version from 1",
		`{"version":-1}`: "expected a version from 1",
		`{"version":1,"withdrawn":[{"version":"latest","reason":"x","date":"2026-11-29"}]}`:       "is not the version of a release",
		`{"version":1,"withdrawn":[{"version":"1-1","reason":"","date":"2026-11-29"}]}`:           "it is empty",
		`{"version":1,"withdrawn":[{"version":"1-1","reason":"a\u001b[2J","date":"2026-11-29"}]}`: "control character",
		`{"version":1,"withdrawn":[{"version":"1-1","reason":"x","date":"\u001b"}]}`:              "parsing time",
		`{"version":1,"withdrawn":[` + strings.Repeat(`{},`, MostListed) + `{}]}`:                 "at most 1000",
	} {
		if _, err := ReadStatement([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
	}
}

// FuzzReadStatement accepts only what can be shown.
func FuzzReadStatement(f *testing.F) {
	for _, text := range []string{`{"version":1}`, `{"app":"docs","variant":"default","version":2,"withdrawn":[{"version":"1-1","reason":"x","date":"2026-11-29"}]}`, `null`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ReadStatement(text)
		if err != nil {
			return
		}
		for _, said := range s.Withdrawn {
			if CheckTag(said.Version) != nil || CheckReason(said.Reason) != nil || len(said.Date) != len("2026-11-29") {
				t.Errorf("accepted: %+v", said)
			}
		}
		again, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if read, err := ReadStatement(again); err != nil || read.Digest() != s.Digest() {
			t.Errorf("%s: %v", again, err)
		}
	})
}
